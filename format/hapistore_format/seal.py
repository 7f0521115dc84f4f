"""The seal: SHA-256 of a span of bytes that contains the seal itself.

It is computed with the seal's own 64 digits written as zeros, so that nothing of the span is left
out, the seal's surroundings included. Both sealed JSON and sealed Arrow files use it.
"""

from __future__ import annotations

import hashlib

from .errors import DamagedError

BLANK = b"0" * 64


def compute_seal(span: bytes | memoryview, at: int) -> bytes:
    """Seal of ``span``, whose 64 seal digits stand at offset ``at``: 64 ASCII bytes."""
    view = memoryview(span)
    whole = hashlib.sha256(view[:at])
    whole.update(BLANK)
    whole.update(view[at + 64 :])
    return whole.hexdigest().encode("ascii")


def check_seal(span: bytes | memoryview, at: int, *, where: str) -> None:
    """Compare the seal at offset ``at`` with the bytes around it.

    Raises:
        DamagedError: ``bad-seal``.
    """
    found = bytes(memoryview(span)[at : at + 64])
    if found != compute_seal(span, at):
        raise DamagedError("bad-seal", "its bytes do not match the hash at its end", where=where)
