"""Seconds by the link's rate, as lines: both axes logarithmic, so that what is divided by a rate is straight."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..units import format_rate, format_seconds
from .markup import Html, el

_TIMES_S = (*(10.0**power for power in range(-9, 2)), 60.0, 600.0, 3600.0, 36_000.0, 360_000.0, 3.6e6, 3.6e7, 3.6e8)
_ROUND = (1, 2, 5)
_TOP, _BOTTOM, _LEFT = 34, 34, 64
_LABEL_PX, _TICK_PX, _CHAR_PX = 20, 24, 7.2


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is drawn of one thing that crosses the link.

    Attributes:
        label: what it is, as it may be shown; bytes: of an epoch, at least 1.
        kind: its class; estimated: whether the line is dashed.
    """

    label: str
    bytes: int
    kind: str
    estimated: bool = False


@dataclass(frozen=True, kw_only=True)
class Frame:
    """How large a drawing is, in its own pixels; right: what labels may have of its width; name: its class."""

    width: int
    height: int
    right: int
    name: str


FRAMES = (Frame(width=1056, height=430, right=270, name="wide"), Frame(width=440, height=400, right=150, name="narrow"))
"""For wide screens and for narrow ones, so that text has about the same size on both. A page has both."""


def link_plot(lines: Sequence[Line], links: Sequence[float], rates: tuple[float, float], frame: Frame) -> Html:
    """One drawing.

    Args:
        lines: at least one. links: rates that are marked, in bytes/s, all within ``rates``, the ends of the axis.
    """
    plot = _Plot(lines, rates, frame)
    parts = [*plot.grid(), *plot.links(sorted(set(links))), *plot.lines(), *plot.labels()]
    said = f"seconds that an epoch takes on the link, from {format_rate(rates[0])} to {format_rate(rates[1])}"
    size = f"0 0 {frame.width} {plot.height:.0f}"
    return el("svg", parts, class_=f"link {frame.name}", viewBox=size, role="img", aria_label=said)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The places, moved apart to ``gap`` and into ``low`` … ``high`` as far as there is room, in their order."""
    order = sorted(range(len(places)), key=lambda number: places[number])
    moved = list(places)
    least = low
    for number in order:
        moved[number] = max(moved[number], least)
        least = moved[number] + gap
    most = high
    for number in reversed(order):
        moved[number] = min(moved[number], most)
        most = moved[number] - gap
    return moved


class _Plot:
    """Where rates and seconds lie in a frame, and what is drawn there."""

    def __init__(self, lines: Sequence[Line], rates: tuple[float, float], frame: Frame) -> None:
        self._lines, self._rates = lines, rates
        longest = max(_places(line.label) for line in lines)
        self._chars = min(longest, int((frame.right - 24) / _CHAR_PX))
        self._right = frame.width - 24 - self._chars * _CHAR_PX
        self.height = max(frame.height, _TOP + _BOTTOM + _LABEL_PX * (len(lines) + 1))
        self._bottom = self.height - _BOTTOM
        self._least_s = min(line.bytes for line in lines) / rates[1] / 1.5
        self._most_s = max(line.bytes for line in lines) / rates[0] * 1.5

    def _x(self, rate: float) -> float:
        low, high = self._rates
        return _LEFT + (self._right - _LEFT) * math.log(rate / low) / math.log(high / low)

    def _y(self, seconds: float) -> float:
        share = math.log(seconds / self._least_s) / math.log(self._most_s / self._least_s)
        return self._bottom - (self._bottom - _TOP) * share

    def grid(self) -> list[Html]:
        """Lines of round times and rates, and what they are."""
        found = []
        for seconds in _apart([s for s in _TIMES_S if self._least_s <= s <= self._most_s], self._y, _TICK_PX):
            y = f"{self._y(seconds):.1f}"
            found.append(el("line", x1=_LEFT, x2=self._right, y1=y, y2=y, class_="grid"))
            found.append(_text(_LEFT - 10, self._y(seconds), format_seconds(seconds), "end"))
        for rate in _apart([*self._rates, *_round_rates(*self._rates)], self._x, 84):
            x = f"{self._x(rate):.1f}"
            found.append(el("line", x1=x, x2=x, y1=_TOP, y2=f"{self._bottom:.1f}", class_="grid"))
            found.append(_text(self._x(rate), self._bottom + 18, format_rate(rate), "middle"))
        return found

    def links(self, links: Sequence[float]) -> list[Html]:
        """A line across for each of the user's links, with what it is above it."""
        found = []
        places = spread([self._x(link) for link in links], 84, _LEFT + 20, self._right)
        for link, place in zip(links, places, strict=True):
            x = f"{self._x(link):.1f}"
            found.append(el("line", x1=x, x2=x, y1=_TOP - 8, y2=f"{self._bottom:.1f}", class_="yours"))
            found.append(_text(place, _TOP - 18, format_rate(link), "middle", "yours"))
            found += [
                el("circle", cx=x, cy=f"{self._y(line.bytes / link):.1f}", r=3.5, class_=line.kind)
                for line in self._lines
            ]
        return found

    def lines(self) -> list[Html]:
        """One for each thing that crosses, the seconds it takes."""
        low, high = self._rates
        return [
            el("line", x1=_LEFT, y1=f"{self._y(line.bytes / low):.1f}", x2=self._right,
               y2=f"{self._y(line.bytes / high):.1f}", class_=f"series {line.kind}",
               stroke_dasharray="6 5" if line.estimated else None)
            for line in self._lines
        ]  # fmt: skip

    def labels(self) -> list[Html]:
        """What each line is, at its end."""
        ends = [self._y(line.bytes / self._rates[1]) for line in self._lines]
        places = spread(ends, _LABEL_PX, _TOP, self._bottom)
        found = []
        for line, end, place in zip(self._lines, ends, places, strict=True):
            bend = f"{self._right},{end:.1f} {self._right + 6},{end:.1f} {self._right + 14},{place:.1f}"
            found.append(el("polyline", points=bend, class_=f"leader {line.kind}"))
            label = _text(self._right + 18, place, _last(line.label, self._chars), "start", line.kind)
            found.append(el("g", el("title", line.label), label))
        return found


def _text(x: float, y: float, text: str, anchor: str, class_: str | None = None) -> Html:
    return el("text", text, x=f"{x:.1f}", y=f"{y + 4:.1f}", text_anchor=anchor, class_=class_)


def _last(text: str, places: int) -> str:
    """The end of a text that is too long for so many places: of names with codecs, that is what tells them apart."""
    if _places(text) <= places:
        return text
    while _places(text) >= places:
        text = text[1:]
    return f"…{text}"


def _places(text: str) -> int:
    """How many places a text takes: wide characters have two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _round_rates(low: float, high: float) -> list[float]:
    """Rates of 1, 2 or 5 bits a second times a power of ten, those of 1 first, in bytes/s."""
    found = [digit * 10.0**power / 8 for digit in _ROUND for power in range(16)]
    return [rate for rate in found if low <= rate <= high]


def _apart(values: Sequence[float], place: Callable[[float], float], gap: float) -> list[float]:
    """Those of the values that lie so far from all that come before them."""
    kept: list[float] = []
    for value in values:
        if all(abs(place(value) - place(other)) >= gap for other in kept):
            kept.append(value)
    return kept
