"""Reading stored objects by name."""

from __future__ import annotations

from typing import TypeVar

from ..stores import ObjectStore
from ..stores.sound import Parse, read_sound

_Out = TypeVar("_Out")


def read_object(store: ObjectStore, name: str, parse: Parse[_Out]) -> _Out:
    """Fetch an object and read it, again where it came damaged.

    Raises:
        NotFound: there is no such object.
        DamagedError: its bytes do not match their checksums, each time in the same way.
        FormatError: it is not what ``parse`` reads.
    """
    return read_sound(lambda: store.get(name), parse, where=name)
