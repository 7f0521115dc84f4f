"""Reading what a store has: what was damaged on the way is fetched again, what is damaged there is said to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from hapistore_format import DamagedError

_Out = TypeVar("_Out")
_Out_co = TypeVar("_Out_co", covariant=True)
_ATTEMPTS = 5


class Parse(Protocol[_Out_co]):
    """Reads an object's bytes, checksums first."""

    def __call__(self, data: memoryview, /, *, where: str) -> _Out_co: ...


def read_sound(fetch: Callable[[], memoryview], parse: Parse[_Out], *, where: str) -> _Out:
    """Fetch an object and read it.

    Links and proxies change bytes now and then, and TCP's checksum misses some of that.

    Args:
        where: the object's name, for errors.

    Raises:
        DamagedError: its bytes do not match their checksums, each time in the same way.
        FormatError: it is not what ``parse`` reads. And what ``fetch`` raises.
    """
    data = fetch()
    for _ in range(_ATTEMPTS - 1):
        try:
            return parse(data, where=where)
        except DamagedError:
            again = fetch()
            if again == data:
                raise
            data = again
    return parse(data, where=where)
