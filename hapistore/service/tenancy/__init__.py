"""Who uses a service, how much, and what each may see of it."""
