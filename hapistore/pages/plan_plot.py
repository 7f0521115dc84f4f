"""A split plan as a picture: one bar a candidate, its parts the stages, the chosen one marked."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..appearing import appearing
from ..planning import Candidate, SplitPlan
from ..planning.epoch_cost import STAGES
from ..units import format_seconds

_COLOURS = {"storage": "#4c78a8", "link": "#f58518", "compute": "#54a24b"}
_ROW_PX, _BAR_PX, _MARGIN_PX, _TEXT_PX = 24, 14, 16, 13
_NAMES_PX, _BARS_PX, _TIMES_PX = 260, 640, 110
_LONGEST_NAME = 34


def draw_plan(plan: SplitPlan, path: Path) -> None:
    """Write a PNG, replacing one that is there.

    A bar's parts are the seconds that each stage is busy in an epoch; the line across it is the epoch itself, which is
    shorter than the bar where stages overlap.
    """
    rows = len(plan.candidates)
    size = (2 * _MARGIN_PX + _NAMES_PX + _BARS_PX + _TIMES_PX, 2 * _MARGIN_PX + (rows + 2) * _ROW_PX)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_TEXT_PX)
    longest = max(max(_busy_s(one), one.epoch_s) for one in plan.candidates) or 1.0
    _draw_legend(draw, font, plan.policy)
    for row, one in enumerate(plan.candidates):
        top = _MARGIN_PX + (row + 2) * _ROW_PX
        _draw_bar(draw, font, one, top, _BARS_PX / longest, chosen=one is plan.chosen)
    with appearing(path, replace=True) as temporary:
        image.save(temporary, format="PNG")


def _draw_legend(draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, policy: str) -> None:
    left = float(_MARGIN_PX)
    for text, colour in (*_COLOURS.items(), ("epoch", "black")):
        draw.rectangle((left, _MARGIN_PX + 3, left + 10, _MARGIN_PX + 13), fill=colour)
        draw.text((left + 16, _MARGIN_PX), text, fill="black", font=font)
        left += 34 + draw.textlength(text, font=font)
    draw.text((left, _MARGIN_PX), f"chosen by {policy}: in red", fill="#c00000", font=font)


def _draw_bar(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    one: Candidate,
    top: int,
    px_per_s: float,
    *,
    chosen: bool,
) -> None:
    ink = "#c00000" if chosen else "black"
    name = one.cut.name if len(one.cut.name) <= _LONGEST_NAME else f"…{one.cut.name[1 - _LONGEST_NAME :]}"
    draw.text((_MARGIN_PX, top - 1), f"{one.cut.index}  {name}", fill=ink, font=font)
    start = left = float(_MARGIN_PX + _NAMES_PX)
    for stage in STAGES:
        right = left + getattr(one, f"{stage}_s") * px_per_s
        draw.rectangle((left, top, right, top + _BAR_PX), fill=_COLOURS[stage])
        left = right
    end = start + one.epoch_s * px_per_s
    draw.line((end, top - 3, end, top + _BAR_PX + 3), fill=ink, width=2)
    draw.text((start + _BARS_PX + 10, top - 1), format_seconds(one.epoch_s), fill=ink, font=font)


def _busy_s(one: Candidate) -> float:
    return one.storage_s + one.link_s + one.compute_s
