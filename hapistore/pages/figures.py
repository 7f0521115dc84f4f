"""Small drawings: bars, columns and a plot of sizes, as SVG without styles of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..units import format_bytes
from .choosing import evenly
from .markup import Child, Html, el

_PLOT = (240, 160)
_MOST_POINTS = 400
_COLUMNS = 24


def bar_rows(rows: Sequence[tuple[Child, int]], whole: int) -> Html:
    """A list of names with counts, each above a bar: its share of ``whole``."""
    return el("ul", [_bar_row(name, count, whole) for name, count in rows], class_="bars")


def _bar_row(name: Child, count: int, whole: int) -> Html:
    bar = el(
        "svg",
        el("rect", width="100%", height="100%", rx=2, class_="track"),
        el("rect", width=f"{max(0.5, 100 * count / max(1, whole)):.2f}%", height="100%", rx=2, class_="mark"),
        class_="bar",
        aria_hidden="true",
    )
    return el("li", el("div", el("span", name, class_="name"), el("span", f"{count:,}"), class_="row"), bar)


def shape_plot(shapes: Sequence[tuple[tuple[int, int], int]]) -> Html:
    """Width to the right, height upwards, both logarithmic; the area of a dot is how many images have that size.

    Args:
        shapes: ((width, height), images), most frequent first.
    """
    points = list(shapes[: _MOST_POINTS // 2]) + evenly(shapes[_MOST_POINTS // 2 :], _MOST_POINTS // 2)
    width, height = _PLOT
    low = math.log(min(min(shape) for shape, _ in shapes))
    high = max(math.log(max(max(shape) for shape, _ in shapes)), low + 0.7)
    most = max(count for _, count in points)

    def place(side: int, length: int) -> float:
        return 10 + (length - 20) * (math.log(side) - low) / (high - low)

    dots = [
        el(
            "circle",
            cx=f"{place(shape[0], width):.1f}",
            cy=f"{height - place(shape[1], height):.1f}",
            r=f"{1.5 + 5.5 * math.sqrt(count / most):.1f}",
            class_="mark",
            fill_opacity="0.55",
        )
        for shape, count in points
    ]
    frame = el("rect", width=width, height=height, rx=3, class_="frame")
    label = f"{len(shapes)} sizes, from {round(math.exp(low))} to {round(math.exp(high))} pixels a side"
    plot = el("svg", frame, dots, class_="plot", viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
    ends = [f"{round(math.exp(low)):,} px", "width →  height ↑", f"{round(math.exp(high)):,} px"]
    return el("figure", plot, el("figcaption", [el("span", end) for end in ends]))


def byte_columns(sizes: Sequence[int]) -> Html:
    """How many images are how large, in columns of equal ratio, with the least, the median and the most below."""
    ordered = sorted(sizes)
    low = math.log(max(1, ordered[0]))
    step = max(math.log(max(1, ordered[-1])) - low, 0.7) / _COLUMNS
    counts = [0] * _COLUMNS
    for size in ordered:
        counts[min(_COLUMNS - 1, int((math.log(max(1, size)) - low) / step))] += 1
    columns = [
        el("rect", x=f"{10 * n + 1}", y=f"{72 - 70 * count / max(counts):.1f}", width=8,
           height=f"{70 * count / max(counts):.1f}", class_="mark")
        for n, count in enumerate(counts) if count
    ]  # fmt: skip
    ends = [format_bytes(ordered[0]), f"median {format_bytes(ordered[len(ordered) // 2])}", format_bytes(ordered[-1])]
    drawing = el(
        "svg", columns, class_="columns", viewBox=f"0 0 {10 * _COLUMNS} 72", preserveAspectRatio="none",
        role="img", aria_label=f"sizes from {ends[0]} to {ends[2]}",
    )  # fmt: skip
    return el("figure", drawing, el("figcaption", [el("span", end) for end in ends]))
