"""How plots look: one colour a system everywhere, spread as whiskers, nothing that is not data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

SYSTEMS = {
    "baseline": ("BASELINE", "#6b7280"),
    "all_in_cos": ("ALL_IN_COS", "#a8a29e"),
    "script": ("extract once to .npy", "#d97706"),
    "hapi": ("HAPI", "#2563eb"),
    "streaming": ("hapistore, streaming", "#34a58e"),
    "stored": ("hapistore, stored: first epoch", "#0f766e"),
    "later": ("hapistore, stored: later epochs", "#84cc16"),
}
"""Label and colour by system, in the order of bars and legends."""
_LOOK = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9ca3af",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
    "savefig.dpi": 150,
    # The same bytes from the same results.
    "svg.fonttype": "path",
    "svg.hashsalt": "hapistore",
}


@contextmanager
def figure(folder: Path, name: str, size: tuple[float, float] = (7.5, 4.0), **of_axes: Any) -> Iterator[Any]:
    """Axes to draw on; then NAME.png and NAME.svg are written."""
    with plt.rc_context(_LOOK):
        made, axes = plt.subplots(figsize=size, **of_axes)
        yield axes
        folder.mkdir(parents=True, exist_ok=True)
        made.savefig(folder / f"{name}.png", metadata={"Software": None})
        made.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
        plt.close(made)


def whiskers(figure: dict[str, float]) -> list[list[float]]:
    """A median's spread, as matplotlib's ``yerr`` takes it."""
    return [[figure["median"] - figure["low"]], [figure["high"] - figure["median"]]]


def plain_ticks(axis: Any, values: list[float] | None = None) -> None:
    """Numbers in full on a logarithmic axis; at these places."""
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())
    if values is not None:
        axis.set_major_locator(mpl.ticker.FixedLocator(values))
        axis.set_minor_locator(mpl.ticker.NullLocator())
