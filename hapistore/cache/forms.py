"""In which form shards are kept, and whether a cache is large enough for what is read through it."""

from __future__ import annotations

from typing import Literal

from ..units import format_bytes

Form = Literal["compressed", "decoded"]


def choose_form(compressed_bytes: int, decoded_bytes: int, capacity_bytes: int) -> Form:
    """Decoded where everything that a reader will want fits so, else as fetched.

    A decoded shard is mapped and read in place. What does not fit is fetched again, which costs far more than decoding.

    Args:
        compressed_bytes, decoded_bytes: of everything that will be read, as fetched and decoded.
    """
    return "decoded" if decoded_bytes <= max(capacity_bytes, compressed_bytes) else "compressed"


def preflight(window_bytes: int, *, room_bytes: int, capacity_bytes: int) -> str | None:
    """What to tell who is about to read through a cache that is smaller than one training window.

    Args:
        window_bytes: all shards that are wanted at the same time, in the form in which they are kept.
        room_bytes: what shards can take of the capacity: less the index, and what is pinned or the only copy.

    Returns:
        A warning; None where the window fits.
    """
    if window_bytes <= room_bytes:
        return None
    room, lacking = format_bytes(room_bytes), format_bytes(window_bytes - room_bytes)
    return (
        f"a training window takes {format_bytes(window_bytes)} and the cache has room for {room} of its "
        f"{format_bytes(capacity_bytes)}: what does not fit is fetched for every use and held in memory; raise the "
        f"capacity by {lacking}, or read with a smaller window"
    )
