"""In which order readers will use shards: written down in the index, so that whoever evicts knows it."""

from __future__ import annotations

import struct
import uuid
from bisect import bisect_left
from collections.abc import Callable, Sequence

from .index import Transaction, find, scan
from .names import KEY_BYTES
from .records import FUTURE, POSITION, IndexDamaged

_POSITION = struct.Struct("<16sQ")
_PART_OF_INDEX = 16


def most_uses(index_bytes: int) -> int:
    """How many uses one future may have, so that futures leave the index its room."""
    return index_bytes // _PART_OF_INDEX // KEY_BYTES


def add_future(transaction: Transaction, holder: bytes, keys: Sequence[bytes]) -> bytes:
    """Write down an order of use; its number."""
    future = uuid.uuid4().bytes
    transaction.put(FUTURE + future, b"".join(keys))
    set_position(transaction, holder, future, 0)
    return future


def set_position(transaction: Transaction, holder: bytes, future: bytes, position: int) -> None:
    """Uses before this one are over."""
    transaction.put(POSITION + future, _POSITION.pack(holder, position))


def remove_future(transaction: Transaction, future: bytes) -> None:
    transaction.delete(FUTURE + future)
    transaction.delete(POSITION + future)


def futures_of(transaction: Transaction) -> list[tuple[bytes, bytes, int]]:
    """(future, holder, position) of all there are."""
    try:
        return [(bytes(future), *_POSITION.unpack(value)) for future, value in scan(transaction, POSITION)]
    except struct.error as error:
        raise IndexDamaged(f"the cache's index holds a position that cannot be read: {error}") from error


class KnownFutures:
    """Futures as this process has read them: an order never changes, only where its reader stands."""

    def __init__(self) -> None:
        self._places: dict[bytes, dict[bytes, list[int]]] = {}

    def next_use(self, transaction: Transaction) -> Callable[[bytes], int | None]:
        """A function from a shard's key to the uses before its next one, in the nearest future; None: in none."""
        positions = [(future, position) for future, _, position in futures_of(transaction)]
        self._places = {future: self._read(transaction, future) for future, _ in positions}
        known = [(self._places[future], position) for future, position in positions]

        def find(key: bytes) -> int | None:
            nearest = None
            for places, position in known:
                uses = places.get(key, ())
                at = bisect_left(uses, position)
                if at < len(uses) and (nearest is None or uses[at] - position < nearest):
                    nearest = uses[at] - position
            return nearest

        return find

    def _read(self, transaction: Transaction, future: bytes) -> dict[bytes, list[int]]:
        if future in self._places:
            return self._places[future]
        places: dict[bytes, list[int]] = {}
        order = find(transaction, FUTURE + future) or b""
        for place, start in enumerate(range(0, len(order), KEY_BYTES)):
            places.setdefault(order[start : start + KEY_BYTES], []).append(place)
        return places
