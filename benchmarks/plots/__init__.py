"""Plots of what was measured, as PNG and SVG: ``python -m benchmarks.plots`` writes ``docs/plots``."""
