"""What a service tells those who watch it: logs, counters, health."""
