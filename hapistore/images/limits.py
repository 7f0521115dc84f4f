"""Limits that keep one hostile image from taking the process with it."""

from __future__ import annotations

import os
import threading

from PIL import Image

# Decoded to RGB, so many pixels take 537 MB. Checked on the header, before any pixel is allocated; it is
# also where Pillow itself refuses, so a higher value needs Image.MAX_IMAGE_PIXELS raised as well.
MAX_PIXELS = int(os.environ.get("HAPISTORE_MAX_PIXELS", 178_956_970))

# Only formats whose decoders Pillow keeps in-process and memory-safe for untrusted input. EPS, for
# one, would start Ghostscript. ICO is left out since Pillow decodes it, whatever size it holds, while opening.
# MPO has no opener of its own: Pillow finds it among the JPEGs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA")

_loading = threading.Lock()
_usable: tuple[str, ...] = ()


def usable_formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow can open."""
    global _usable
    if not _usable:
        # Once and under a lock: Pillow's lazy loading of plugins is not meant for many threads.
        with _loading:
            Image.init()
            _usable = tuple(name for name in FORMATS if name in Image.OPEN)
    return _usable
