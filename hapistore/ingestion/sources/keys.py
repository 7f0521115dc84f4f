"""Which names can be keys."""

from __future__ import annotations

import re

MAX_KEY_BYTES = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def problem_of_key(key: str) -> str | None:
    """Why a text is no key; None where it is one. Whatever else it says: a key is never opened as a path."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    if not encoded:
        return "empty"
    if len(encoded) > MAX_KEY_BYTES:
        return f"longer than {MAX_KEY_BYTES} bytes"
    return "with control characters" if _CONTROL.search(key) else None
