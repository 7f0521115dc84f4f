"""Reading stored objects by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from ..stores import ObjectStore
from ..stores.protocol import ManyObjects
from ..stores.sound import Parse, read_sound
from ..threads import map_ahead

_AT_ONCE = 8
_Out = TypeVar("_Out")


def read_object(store: ObjectStore, name: str, parse: Parse[_Out]) -> _Out:
    """Fetch an object and read it, again where it came damaged.

    Raises:
        NotFound: there is no such object.
        DamagedError: its bytes do not match their checksums, each time in the same way.
        FormatError: it is not what ``parse`` reads.
    """
    return read_sound(lambda: store.get(name), parse, where=name)


def read_all(store: ObjectStore, names: Sequence[str], parse: Parse[_Out]) -> list[_Out]:
    """`read_object` of many small ones: all at once where the store can, else some at a time.

    Raises:
        NotFound, FormatError: as of one.
    """
    if not isinstance(store, ManyObjects):
        # One request after the other would take a slow link's delay for each.
        one = partial(read_object, store, parse=parse)
        return list(map_ahead(one, names, threads=_AT_ONCE, ahead=_AT_ONCE, name="hapistore-annotations"))
    came = zip(names, store.get_many(names), strict=True)
    return [read_sound(_first(data, partial(store.get, name)), parse, where=name) for name, data in came]


def _first(data: memoryview, fetch: Callable[[], memoryview]) -> Callable[[], memoryview]:
    """Gives what came already, and fetches where more is asked for."""
    came = [data]
    return lambda: came.pop() if came else fetch()
