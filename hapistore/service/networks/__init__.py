"""Networks that clients send: nothing of them is believed, and they come back from the store."""
