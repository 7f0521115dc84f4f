"""The storage-side service: an Arrow Flight server in front of a store, and its client."""
