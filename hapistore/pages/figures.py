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
    return measure_rows([(name, count, f"{count:,}") for name, count in rows], max(1, whole))


def measure_rows(rows: Sequence[tuple[Child, float, Child]], whole: float) -> Html:
    """The same of (name, measure, what is said of it): bars of the measures, in parts of ``whole``."""
    return el("ul", [_row(name, said, [("mark", measure)], whole) for name, measure, said in rows], class_="bars")


def stacked_rows(
    rows: Sequence[tuple[Child, Sequence[tuple[str, float]], float | None, Child]], whole: float, *, class_: str
) -> Html:
    """Bars of several parts, each of a class of its own, one beside the other.

    Args:
        rows: (name, (class, measure) of each part, where the bar has a tick across it, what is said of it).
    """
    items = [_row(name, said, parts, whole, tick) for name, parts, tick, said in rows]
    return el("ul", items, class_=f"bars {class_}")


def _row(name: Child, said: Child, parts: Sequence[tuple[str, float]], whole: float, tick: float | None = None) -> Html:
    marks, left = [], 0.0
    least, round_px = (0.5, 2) if len(parts) == 1 else (0.0, None)
    for class_, measure in parts:
        width = max(least, 100 * measure / whole)
        marks.append(el("rect", x=f"{left:.2f}%", width=f"{width:.2f}%", height="100%", rx=round_px, class_=class_))
        left += width
    if tick is not None:
        marks.append(el("rect", x=f"{100 * tick / whole:.2f}%", y="-3", width="2", height="14", class_="tick"))
    track = el("rect", width="100%", height="100%", rx=2, class_="track")
    bar = el("svg", track, marks, class_="bar", aria_hidden="true")
    return el("li", el("div", el("span", name, class_="name"), el("span", said), class_="row"), bar)


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


def part_columns(columns: Sequence[Sequence[tuple[str, float]]], *, about: str) -> Html:
    """A column for each of what came one after the other, its parts on top of each other, each of a class of its own.

    Args:
        columns: (class, measure) of each part, from below; about: what is drawn, in words.
    """
    highest = max(sum(measure for _, measure in parts) for parts in columns) or 1.0
    drawn = []
    for number, parts in enumerate(columns):
        top = 72.0
        for class_, measure in parts:
            height = 70 * measure / highest
            top -= height
            drawn.append(el("rect", x=10 * number + 1, y=f"{top:.2f}", width=8, height=f"{height:.2f}", class_=class_))
    return el(
        "svg", drawn, class_="columns", viewBox=f"0 0 {10 * len(columns)} 72", preserveAspectRatio="none",
        role="img", aria_label=about,
    )  # fmt: skip
