"""The verb: read again what was left out, after it was mended or Pillow learnt to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from ..catalog import require_store, resolve_version
from ..errors import UsageError
from ..stores import ObjectStore
from .ingesting import IngestResult, ingest
from .options import IngestOptions
from .quarantine import Quarantined, outstanding
from .sources import Chunk, Listing, Source


@dataclass(frozen=True, kw_only=True)
class RetryResult:
    """What a retry did.

    Attributes:
        ingested: what the ingest of the images left out did; its ``quarantined`` cannot be used still.
        before, after: how many images were outstanding.
        missing: keys that are outstanding, and that the source does not have.
    """

    ingested: IngestResult
    before: int
    after: int
    missing: list[str]


class OnlyKeys:
    """A source's records that have one of these keys, in the source's order.

    Attributes:
        seen: which of the keys the source had, once all chunks were taken.
    """

    def __init__(self, source: Source, keys: Iterable[str]) -> None:
        self._source = source
        self._keys = pa.array(keys, pa.string())
        self.seen: set[str] = set()

    def listing(self) -> Listing:
        listing = self._source.listing()
        return replace(listing, chunks=self._chosen(listing.chunks), records=None)

    def _chosen(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        self.seen = set()
        for chunk in chunks:
            chosen = pc.indices_nonzero(pc.is_in(chunk.annotations["key"], value_set=self._keys))
            if len(chosen):
                annotations = chunk.annotations.take(chosen)
                self.seen.update(annotations["key"].to_pylist())
                yield Chunk(annotations=annotations, images=[chunk.images[row] for row in chosen.to_pylist()])
        if not self.seen:
            raise UsageError(
                f"the source has none of the {len(self._keys)} images that were left out "
                f"(the first is {self._keys[0].as_py()}); name the source that they came from"
            )


def retry(
    store: ObjectStore,
    dataset: str,
    source: Source,
    *,
    threads: int | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> RetryResult:
    """Ingest those records of a source that are outstanding, and no others, after decoding every pixel of them.

    A version is committed with those that can be used now, and a report of the others. New image shards have the
    layout of the dataset's last one.

    Args:
        dataset: its name.
        threads: how many images are read and checked at once.

    Raises:
        UsageError: nothing is outstanding, or the source has none of it; nothing was written.
        HapistoreError: none of it can be used yet; nothing was committed.
    """
    require_store(store)
    version = resolve_version(store, dataset)
    left_out = outstanding(store, version)
    if not left_out:
        raise UsageError(f"nothing is left out of {version.label}")
    only = OnlyKeys(source, [image.key for image in left_out])
    options = IngestOptions(layout=version.shards[-1].layout, check="full")
    if threads is not None:
        options = replace(options, threads=threads)
    result = ingest(store, dataset, only, options, on_progress=on_progress)
    return RetryResult(
        ingested=result,
        before=len(left_out),
        after=len(outstanding(store, result.version)),
        missing=_missing(left_out, only.seen),
    )


def _missing(images: list[Quarantined], seen: set[str]) -> list[str]:
    return [image.key for image in images if image.key not in seen]
