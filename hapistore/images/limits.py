"""Limits that keep one hostile image from taking the process with it."""

from __future__ import annotations

import os
import threading

from PIL import Image

# A decoded RGB image of this many pixels takes 537 MB. Pillow refuses only at twice its own limit,
# so ours is checked by hand, on the header, before any pixel is allocated.
MAX_PIXELS = int(os.environ.get("HAPISTORE_MAX_PIXELS", 178_956_970))

# Only formats whose decoders Pillow keeps in-process and memory-safe for untrusted input. EPS, for
# one, would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "MPO", "AVIF", "JPEG2000", "ICO", "TGA")

_plugins_loaded = threading.Lock()
_ready = False


def prepare_pillow() -> None:
    """Load Pillow's plugins once, under a lock: its lazy loading is not meant for many threads."""
    global _ready
    if _ready:
        return
    with _plugins_loaded:
        if not _ready:
            Image.init()
            # Our own limit is checked on every header; Pillow's would only add a warning on stderr.
            Image.MAX_IMAGE_PIXELS = None
            _ready = True
