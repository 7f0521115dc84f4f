"""What tables have in common."""

from __future__ import annotations


def range_text(figure: dict[str, float], digits: int, unit: str = "") -> str:
    """A median, and the lowest and highest where they differ."""
    low, high = f"{figure['low']:.{digits}f}", f"{figure['high']:.{digits}f}"
    spread = f" ({low}–{high})" if low != high else ""
    return f"{figure['median']:,.{digits}f}{unit}{spread}"
