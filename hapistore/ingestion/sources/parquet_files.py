"""Parquet files with images in them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from ...stores.bucket import is_bucket_url
from .image_tables import ImageTables
from .places import Place, find_places
from .subset_names import subset_called

# Of a column's bytes, so much is read at once: a row group may have gigabytes.
_BUFFER_BYTES = 1 << 20


class ParquetFile:
    """One file; see ``Part``."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.name = place.name
        self.subset = subset_of_file(place.name)

    def schema(self) -> pa.Schema:
        with self._open() as file:
            return file.schema_arrow

    def bytes_per_row(self) -> int:
        # Of whole row groups: Arrow's metadata of single columns ends the process where they lie.
        with self._open() as file:
            groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
            return max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)

    def batches(self, columns: list[str], *, rows: int) -> Iterator[pa.RecordBatch]:
        with self._open() as file:
            for batch in file.iter_batches(rows, columns=columns, use_threads=False):
                batch.validate(full=True)
                yield batch

    def _open(self) -> pq.ParquetFile:
        source = self._place.path if self._place.path is not None else self._place.open()
        return pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)


def subset_of_file(name: str) -> str | None:
    """``data/validation-00000-of-00002.parquet`` and ``validation/0000.parquet`` say val; most names say nothing."""
    folder, base = posixpath.split(name.replace(os.sep, "/"))
    stem = base.partition(".")[0].partition("-")[0]
    return subset_called(stem) or subset_called(posixpath.basename(folder))


def parquet(
    pattern: str | os.PathLike[str],
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    subset_column: str | None = None,
) -> ImageTables:
    """Parquet files with encoded images in a column, as a source; see ImageTables for keys and labels.

    Args:
        pattern: a file, a folder of them, braces and globs, or ``s3://…`` objects.
        image_column: binary, or Hugging Face's struct of bytes and path. Default: the only one there is.

    Raises:
        UsageError: there is no such file.
    """
    text = os.fspath(pattern)
    folder = not is_bucket_url(text) and os.path.isdir(text)  # noqa: PTH112
    places = find_places(os.path.join(text, "**/*.parquet") if folder else text)  # noqa: PTH118
    return ImageTables(
        text,
        [ParquetFile(place) for place in places],
        image=image_column,
        label=label_column,
        subset=subset_column,
    )
