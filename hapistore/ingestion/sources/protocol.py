"""What ingest asks of a source: a stream of records, their images still where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

ImageRef = str | Path | bytes | memoryview | Callable[[], "bytes | memoryview"]
"""Where an image is: a file (text is a path), at hand, or fetched by a call.

A call runs on any thread. It raises ImageError where this one image cannot be had, anything else where the source
is broken and the ingest must end.
"""
CHUNK_ROWS = 4096
"""Of a source that has its records at hand: much smaller than memory, and few calls."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some records of a source, in its order.

    Attributes:
        annotations: one row a record: ``key`` (string), ``label`` (string, int64, double or null), ``subset`` (train,
            val, test or null), then metadata columns. A column that is missing, or of Arrow's type null, says
            nothing: where a record is known already, what is stored of it stays. Types of a column may differ between
            chunks as far as ``pa.unify_schemas(promote_options="permissive")`` makes one of them: null beside
            anything, int64 beside double, lists and structs of such.
        images: where each row's image is. What is at hand is held until it is stored, so chunks are small then.
    """

    annotations: pa.Table
    images: Sequence[ImageRef]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Everything there is to ingest. Chunks are taken once.

    Attributes:
        records: how many there are, where that is known beforehand.
        root: a file or folder that all images are in; if it is gone, so is the source, and not just an image.
        ignored: what was passed over, by reason; complete when the last chunk was taken.
        remote: whether its calls mostly wait for a store, so that far more of them at once than there are cores pay.
    """

    chunks: Iterable[Chunk]
    records: int | None = None
    root: Path | None = None
    ignored: dict[str, int] = field(default_factory=dict)
    remote: bool = False


class Source(Protocol):
    """A source lists the same records in the same order as long as it is not changed."""

    def listing(self) -> Listing:
        """Everything there is to ingest.

        Raises:
            UsageError: the source is missing, empty or not of this kind. Taking chunks may raise it as well.
        """


def cut_chunks(annotations: pa.Table, images: Sequence[ImageRef]) -> Iterator[Chunk]:
    """A table that is at hand as whole, in chunks."""
    for start in range(0, annotations.num_rows, CHUNK_ROWS):
        stop = start + CHUNK_ROWS
        yield Chunk(annotations=annotations.slice(start, CHUNK_ROWS), images=images[start:stop])
