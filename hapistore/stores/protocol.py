"""What hapistore asks of an object store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..errors import StoreError


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a store can promise.

    Attributes:
        atomic_create: of several ``create`` calls for one name exactly one succeeds.
        consistent_list: ``list`` shows every object created before it began.
    """

    atomic_create: bool
    consistent_list: bool


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """Name and size of an object.

    Attributes:
        modified: when it was last written, in seconds since 1970 by the store's clock, which may differ from ours.
    """

    name: str
    bytes: int
    modified: float


class ObjectStore(Protocol):
    """Objects by name; a name is one or more segments joined by ``/``.

    Implementations are thread-safe, synchronous, release the GIL while they wait, and pickle to
    what reopens them. An object appears whole or not at all, and once a write returns it survives
    a crash. Methods raise StoreError, with the object's name, for whatever is not listed below.
    """

    url: str

    @property
    def capabilities(self) -> Capabilities:
        """What the store can promise.

        Raises:
            StoreError: it has to be found out, and the store cannot be reached.
        """

    def get(self, name: str) -> memoryview:
        """The object's bytes, read-only.

        Raises:
            NotFound: there is none.
        """

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        """Bytes ``[start, stop)`` of each range.

        Raises:
            NotFound: there is no such object.
        """

    def head(self, name: str) -> ObjectInfo:
        """Size and age of an object.

        Raises:
            NotFound: there is none.
        """

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Objects whose name begins with ``prefix`` and is greater than ``after``, in order of name, each once.

        What is created or deleted while the listing goes on may be in it or not.
        """

    def local_path(self, name: str) -> Path | None:
        """The file that holds the object, for libraries that open files themselves; None where there are no files.

        It is read only: an object that is written anew is another file.

        Raises:
            NotFound: the store has files, and none for this object.
        """

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Write an object, replacing one of that name."""

    def create(self, name: str, data: bytes | memoryview) -> None:
        """Write an object if there is none of that name.

        Raises:
            AlreadyExists: there is one; it is left as it is.
        """

    def delete(self, name: str) -> None:
        """Remove an object.

        Raises:
            NotFound: there is none.
        """


@runtime_checkable
class LocalObjects(Protocol):
    """What a store can offer besides where its objects are files."""

    def delete_older(self, name: str, before_s: float) -> bool:
        """Remove an object if it was last written before a time by the store's clock; whether it was.

        No ``put`` or ``touch`` comes between looking and removing.

        Raises:
            NotFound: there is none.
        """

    def touch(self, name: str) -> None:
        """Let an object count as written now.

        Raises:
            NotFound: there is none.
        """

    def clean_temporary(self, before_s: float, *, dry_run: bool = False) -> int:
        """Remove what killed writers left before that time; how many files."""


@runtime_checkable
class ManyObjects(Protocol):
    """What a store can offer besides where a request costs more than a small object."""

    def get_many(self, names: Sequence[str]) -> list[memoryview]:
        """Annotations by their names, each as `ObjectStore.get` gives it.

        Raises:
            NotFound: one is not there.
        """


def check_name(name: str) -> str:
    """Refuse names that could leave a store's root or hide in it.

    Raises:
        StoreError: a segment is empty, begins with a dot, or holds a character names don't have.
    """
    for segment in name.split("/"):
        plain = segment.replace("-", "").replace("_", "").replace("+", "").replace(".", "")
        if not segment or segment.startswith(".") or not (plain.isascii() and plain.isalnum()):
            raise StoreError(f"{name!r} is no object name: segments are letters, digits and '-_+.', not first a dot")
    return name
