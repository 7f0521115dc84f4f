"""HAPI's evaluation, on one machine: ``make bench-paper``, or ``python -m benchmarks.paper --quick``."""
