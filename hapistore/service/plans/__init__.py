"""Planning between two tiers that each measure themselves."""
