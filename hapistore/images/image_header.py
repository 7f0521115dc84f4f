"""What an image's header says, whoever parsed it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """Size and kind of an encoded image, as stored (before its EXIF orientation is applied)."""

    width: int
    height: int
    format: str
    orientation: int
