"""Reading stored objects: what was damaged on the way is fetched again, what is damaged in the store is said to be."""

from __future__ import annotations

from typing import Protocol, TypeVar

from hapistore_format import DamagedError

from ..stores import ObjectStore

_Out = TypeVar("_Out")
_Out_co = TypeVar("_Out_co", covariant=True)
_ATTEMPTS = 5


class Parse(Protocol[_Out_co]):
    """Reads an object's bytes, checksums first."""

    def __call__(self, data: memoryview, /, *, where: str) -> _Out_co: ...


def read_object(store: ObjectStore, name: str, parse: Parse[_Out]) -> _Out:
    """Fetch an object and read it.

    Links and proxies change bytes now and then, and TCP's checksum misses some of that.

    Raises:
        NotFound: there is no such object.
        DamagedError: its bytes do not match their checksums, each time in the same way.
        FormatError: it is not what ``parse`` reads.
    """
    data = store.get(name)
    for _ in range(_ATTEMPTS - 1):
        try:
            return parse(data, where=name)
        except DamagedError:
            again = store.get(name)
            if again == data:
                raise
            data = again
    return parse(data, where=name)
