"""Tables with a column of images as a source: Parquet files, and what Hugging Face's ``save_to_disk`` writes."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from ...errors import HapistoreError, UsageError
from .column_types import unify
from .image_columns import ImageColumns
from .keys import problem_of_key
from .protocol import Chunk, Listing
from .row_keys import Uniqueness

_HELD_BYTES, _HELD_ROWS = 8 << 20, 64


class Part(Protocol):
    """One file of a table.

    Attributes:
        name: its path or URL; subset: which one its name says, or None.
    """

    name: str
    subset: str | None

    def schema(self) -> pa.Schema:
        """Columns of the file."""

    def batches(self, columns: list[str], *, rows: int) -> Iterator[pa.RecordBatch]:
        """Its rows in order, at most so many at once; a column may be named with a field, as ``image.path``.

        They are validated in full: Arrow trusts offsets and texts that it reads.
        """

    def bytes_per_row(self) -> int:
        """About how large a row is, as the file says."""


class ImageTables:
    """Rows of tables as records, in the files' order.

    Keys are the column ``key``; else ``__key__``, ``id``, ``image_id`` or ``file_name``, where it is text and no value
    comes twice; else the images' own paths, likewise; else ``<file>#<row>``, rows counted from 0. Labels stay what they
    are; where the schema names the classes (Hugging Face's ClassLabel), a column ``label_name`` says which it is. All
    other columns are metadata, but further columns of bytes, which are left out and counted.

    Args:
        what: the source as it was named.
    """

    def __init__(
        self,
        what: str,
        parts: Sequence[Part],
        *,
        image: str | None = None,
        label: str | None = None,
        subset: str | None = None,
    ) -> None:
        self._what, self._parts = what, parts
        self._chosen = {"image": image, "label": label, "subset": subset}

    def listing(self) -> Listing:
        columns = self._columns(self._parts[0])
        key, records = self._choose_key(columns)
        ignored: dict[str, int] = Counter()
        return Listing(chunks=self._chunks(key, ignored), records=records, ignored=ignored)

    def _columns(self, part: Part) -> ImageColumns:
        with _reading(part):
            return ImageColumns(part.schema(), f"source {part.name}", **self._chosen)

    def _choose_key(self, columns: ImageColumns) -> tuple[str | None, int | None]:
        """The column that has keys, and how many rows there are, where that had to be found out."""
        if columns.key == "key":
            return "key", None
        records = None
        for name in [columns.key, f"{columns.image}.path" if columns.has_paths else None]:
            if name is None:
                continue
            unique, records = Uniqueness(), 0
            for part in self._parts:
                with _reading(part):
                    for batch in part.batches([name], rows=4096):
                        unique.add(_texts(batch, name))
                        records += batch.num_rows
            if unique.holds:
                return name, records
        return None, records

    def _chunks(self, key: str | None, ignored: dict[str, int]) -> Iterator[Chunk]:
        types: dict[str, pa.DataType] = {}
        short = _short_names([part.name for part in self._parts])
        records = 0
        for part, name in zip(self._parts, short, strict=True):
            columns = self._columns(part)
            with _reading(part):
                rows = min(_HELD_ROWS, max(1, _HELD_BYTES // max(1, part.bytes_per_row())))
            first = 0
            for batch in _batches(part, columns.wanted, rows):
                keys = self._keys(batch, key, columns, f"{name}#", first, part.name)
                chunk = columns.chunk(batch, keys, subset=part.subset, first_row=first)
                _check_types(chunk.annotations.schema, types, part.name)
                yield chunk
                first += batch.num_rows
            records += first
            for column in columns.left_out:
                ignored[f"values of column {column}, which holds bytes"] = first + ignored.get(
                    f"values of column {column}, which holds bytes", 0
                )
        if not records:
            raise UsageError(f"source {self._what} has no rows")

    def _keys(
        self, batch: pa.RecordBatch, key: str | None, columns: ImageColumns, prefix: str, first: int, where: str
    ) -> list[str]:
        if key is None:
            return [f"{prefix}{row}" for row in range(first, first + batch.num_rows)]
        found = columns.paths(batch) if key.endswith(".path") and key not in batch.schema.names else _texts(batch, key)
        for row, text in enumerate(found, first + 1):
            problem = "missing" if text is None else problem_of_key(text)
            if problem:
                raise UsageError(f"source {where}, record {row}: its key is {problem}: {text!r:.200}")
        return [text for text in found if text is not None]


def _texts(batch: pa.RecordBatch, name: str) -> list[str | None]:
    """A column, or a field of the only column."""
    if name in batch.schema.names:
        return list(batch[name].to_pylist())
    struct = batch.column(0)
    return list(struct.flatten()[struct.type.get_field_index(name.rpartition(".")[2])].to_pylist())


def _batches(part: Part, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    batches = part.batches(columns, rows=rows)
    while True:
        with _reading(part):
            batch = next(batches, None)
            if batch is None:
                return
        yield batch


@contextmanager
def _reading(part: Part) -> Iterator[None]:
    """Arrow's errors, with the file's name."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise HapistoreError(f"source {part.name} cannot be read: {first}") from error


def _check_types(schema: pa.Schema, types: dict[str, pa.DataType], where: str) -> None:
    for field in schema:
        before = types.setdefault(field.name, field.type)
        try:
            types[field.name] = unify(before, field.type)
        except pa.ArrowException:
            raise UsageError(
                f"source {where}: column {field.name!r} is {field.type}, in the files before it is {before}; "
                "make them equal"
            ) from None


def _short_names(names: list[str]) -> list[str]:
    """Names of files as short as they can be told apart by: without folders, else without those they share."""
    slashed = [name.replace(os.sep, "/") for name in names]
    short = [posixpath.basename(name) for name in slashed]
    if len(set(short)) == len(short):
        return short
    shared = len(posixpath.commonpath([posixpath.dirname(name) for name in slashed]))
    return [name[shared:].lstrip("/") for name in slashed]
