"""A service as an object store that is read: what it has comes through, what it lacks is made there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hapistore_format import Augmentation

from ..catalog.names import parse_name
from ..errors import NotFound, StoreError
from ..stores.protocol import Capabilities, ObjectInfo, ObjectStore, check_name
from ..threads import map_ahead
from .bundle import unbundle
from .connection import Connection
from .wire import MOST_NAMES, FeaturesTicket, ObjectsTicket, ObjectTicket

_THREADS = 8
_Kind = TypeVar("_Kind", bound=FeaturesTicket)


class ServiceStore:
    """An `ObjectStore` that cannot be written to.

    Args:
        bucket: the store behind the service, for who may read it: what is there is read from it, without a detour.
    """

    def __init__(self, connection: Connection, bucket: ObjectStore | None = None) -> None:
        self.connection, self.bucket = connection, bucket
        self.url = connection.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(atomic_create=False, consistent_list=False)

    def get(self, name: str) -> memoryview:
        if self.bucket is not None:
            try:
                return self.bucket.get(name)
            except NotFound:
                pass  # the service may have been told of it a moment before the bucket
        return self.connection.read(ObjectTicket(name=check_name(name)), name)

    def get_many(self, names: Sequence[str]) -> list[memoryview]:
        """Annotations, as many at a time as a service gives.

        Raises:
            NotFound: one is not there. UsageError: a name is not of annotations.
        """
        if self.bucket is not None:
            return list(map_ahead(self.get, names, threads=_THREADS, ahead=_THREADS, name="hapistore-many"))
        found: list[memoryview] = []
        while len(found) < len(names):
            some = tuple(names[len(found) : len(found) + MOST_NAMES])
            data = self.connection.read(ObjectsTicket(names=some), f"{len(some)} annotations")
            try:
                found += unbundle(data, most=len(some))
            except ValueError:  # garbled on its way: one alone is read again by whoever finds it damaged
                found.append(self.get(some[0]))
        return found

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        if self.bucket is not None:
            return self.bucket.get_ranges(name, ranges)
        return [self._range(check_name(name), start, stop) for start, stop in ranges]

    def _range(self, name: str, start: int, stop: int) -> memoryview:
        if stop <= start:
            return memoryview(b"")
        return self.connection.read(ObjectTicket(name=name, start=start, stop=stop), name)

    def head(self, name: str) -> ObjectInfo:
        if self.bucket is not None:
            return self.bucket.head(name)
        found = self.connection.act("head", {"name": check_name(name)})
        return ObjectInfo(name=name, bytes=int(found["bytes"]), modified=float(found["modified"]))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        if self.bucket is not None:
            yield from self.bucket.list(prefix, after=after)
            return
        more = True
        while more:
            found = self.connection.act("list", {"prefix": prefix, "after": after})
            for name, size, modified in found["objects"]:
                yield ObjectInfo(name=name, bytes=int(size), modified=float(modified))
            after, more = found["after"], found["more"]

    def local_path(self, name: str) -> Path | None:
        return self.bucket.local_path(name) if self.bucket is not None else None

    def put(self, name: str, data: bytes | memoryview) -> None:
        raise self._read_only(name)

    def create(self, name: str, data: bytes | memoryview) -> None:
        raise self._read_only(name)

    def delete(self, name: str) -> None:
        raise self._read_only(name)

    def _read_only(self, name: str) -> StoreError:
        return StoreError(f"{name}: {self.url} is a service, and is read only; write to the store behind it")


class MakingStore(ServiceStore):
    """The same, through which one view's features are there as soon as somebody asks for them.

    Args:
        dataset: the view's version, such as ``pets@7``. recipe: digest of its recipe of images as they are.
        augmentation: the variant that the view is of; keep: whether the service stores what it makes.
    """

    def __init__(
        self,
        connection: Connection,
        bucket: ObjectStore | None = None,
        *,
        dataset: str,
        recipe: str,
        augmentation: Augmentation | None = None,
        keep: bool = True,
    ) -> None:
        super().__init__(connection, bucket)
        self._asked: dict[str, Any] = {
            "dataset": dataset, "recipe": recipe, "augmentation": augmentation, "keep": keep
        }  # fmt: skip
        self._keep = keep

    def __reduce__(self) -> tuple[Callable[..., MakingStore], tuple[Any, ...]]:
        return partial(MakingStore, **self._asked), (self.connection, self.bucket)

    def get(self, name: str) -> memoryview:
        parsed = parse_name(name)
        if parsed is None or parsed.kind != "features":
            return super().get(name)
        if self.bucket is not None and self._keep:
            try:
                return self.bucket.get(name)
            except NotFound:
                pass  # the service makes it
        return self.connection.read(self.ticket(parsed.parts["codec"], parsed.parts["images"]), name)

    def ticket(self, codec: str, images: str, *, kind: type[_Kind] = FeaturesTicket) -> _Kind:  # type: ignore[assignment]
        """What asks for features of an image shard of the view."""
        return kind(codec=codec, images=images, **self._asked)

    def head(self, name: str) -> ObjectInfo:
        try:
            return super().head(name)
        except NotFound:
            parsed = parse_name(name)
            if parsed is None or parsed.kind != "features":
                raise
            return ObjectInfo(name=name, bytes=len(self.get(name)), modified=0.0)
