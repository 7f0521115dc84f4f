"""Measurements. Each writes ``results/NAME.json``; ``python -m benchmarks.tables`` makes every table from those."""
