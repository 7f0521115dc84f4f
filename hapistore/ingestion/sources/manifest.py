"""A CSV or JSON-lines table that names images and says what they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from hapistore_format import SUBSETS
from hapistore_format.annotations import RESERVED

from ...errors import UsageError
from .protocol import Listing, cut_chunks


class Manifest:
    """One row an image, in the table's order. Paths are relative to the table's folder.

    Args:
        path: ``.csv``, ``.jsonl`` or ``.ndjson``.
        path_column, label_column, subset_column: their names; label and subset may be missing unless
            they are named here. A column ``key`` gives keys, else the path does; all others are metadata.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        path_column: str = "path",
        label_column: str | None = None,
        subset_column: str | None = None,
    ) -> None:
        self.path = Path(path)
        self._path_column = path_column
        self._label_column = label_column
        self._subset_column = subset_column

    def listing(self) -> Listing:
        table = self._read()
        self._check_columns(table.column_names)
        if table.num_rows == 0:
            raise UsageError(f"manifest {self.path} has a header and no rows; expected one row an image")
        paths = self._texts(table, self._path_column)
        keys = self._texts(table, "key") if "key" in table.column_names else [p.replace(os.sep, "/") for p in paths]
        self._check_unique(keys)
        columns: dict[str, pa.ChunkedArray | pa.Array] = {
            "key": pa.array(keys, pa.string()),
            "label": self._labels(table),
            "subset": self._subsets(table),
        }
        used = {self._path_column, self._label, self._subset, "key"}
        columns |= {name: self._metadata(table, name) for name in table.column_names if name not in used}
        folder = self.path.parent
        return Listing(
            chunks=cut_chunks(pa.table(columns), [folder / path for path in paths]), records=len(keys), root=self.path
        )

    @property
    def _label(self) -> str:
        return self._label_column or "label"

    @property
    def _subset(self) -> str:
        return self._subset_column or "subset"

    def _read(self) -> pa.Table:
        if not self.path.exists():
            raise UsageError(f"source {self.path} does not exist; expected a folder of class folders or a manifest")
        if self.path.stat().st_size == 0:
            raise UsageError(f"manifest {self.path} is empty; expected a table with a {self._path_column!r} column")
        try:
            if self.path.suffix.lower() == ".csv":
                table = pa.csv.read_csv(self.path, convert_options=self._csv_options())
            else:
                table = self._read_json_lines()
            _ = table.column_names  # decodes them, which UTF-16 fails
            return table
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UsageError(f"manifest {self.path} cannot be read: {str(error).splitlines()[0]}") from error

    def _read_json_lines(self) -> pa.Table:
        """Arrow takes text that looks like dates for dates; paths, keys and labels are text."""
        table = pa.json.read_json(self.path)
        texts = {self._path_column, self._label, self._subset, "key"}
        dates = [field.name for field in table.schema if field.name in texts and pa.types.is_timestamp(field.type)]
        if not dates:
            return table
        schema = pa.schema([(name, pa.string()) for name in dates])
        return pa.json.read_json(self.path, parse_options=pa.json.ParseOptions(explicit_schema=schema))

    def _csv_options(self) -> pa.csv.ConvertOptions:
        texts = {self._path_column: pa.string(), self._subset: pa.string(), "key": pa.string()}
        # Only the empty field is missing: "NA" may well be a class.
        return pa.csv.ConvertOptions(column_types=texts, strings_can_be_null=True, null_values=[""])

    def _check_columns(self, found: Sequence[str]) -> None:
        wanted = [self._path_column, self._label_column, self._subset_column]
        for name in wanted:
            if name is not None and name not in found:
                raise UsageError(f"manifest {self.path} has no column {name!r}; it has {', '.join(found)}")
        for name in found:
            if found.count(name) > 1 or not name or len(name) > 255:
                raise UsageError(f"manifest {self.path} has column {name!r:.80} twice, or without a usable name")
        taken = set(RESERVED) - {"key", self._label, self._subset}
        for name in found:
            if name in taken:
                raise UsageError(f"manifest {self.path} has a column {name!r}, which hapistore uses itself; rename it")

    def _texts(self, table: pa.Table, name: str) -> list[str]:
        values = table[name].to_pylist()
        for row, value in enumerate(values):
            if not isinstance(value, str) or not value:
                raise UsageError(f"manifest {self.path}, record {row + 1}: {name} is {value!r}, expected text")
        return values

    def _check_unique(self, keys: list[str]) -> None:
        seen: dict[str, int] = {}
        for row, key in enumerate(keys):
            if seen.setdefault(key, row) != row:
                raise UsageError(
                    f"manifest {self.path}, records {seen[key] + 1} and {row + 1}: both have key {key!r}; "
                    "keys are unique (a 'key' column overrides the path)"
                )

    def _labels(self, table: pa.Table) -> pa.ChunkedArray | pa.Array:
        if self._label not in table.column_names:
            return pa.nulls(table.num_rows)
        column = table[self._label]
        if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
            return column.cast(pa.int64())
        if pa.types.is_floating(column.type):
            return column.cast(pa.float64())
        if pa.types.is_string(column.type) or pa.types.is_null(column.type):
            return column.cast(pa.string())
        raise UsageError(f"manifest {self.path}: labels are of type {column.type}, expected text or numbers")

    def _metadata(self, table: pa.Table, name: str) -> pa.ChunkedArray:
        column = table[name]
        if column.type != pa.timestamp("ns"):
            return column
        try:  # Python's datetime, which rows become, ends at microseconds
            return column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            raise UsageError(
                f"manifest {self.path}: column {name!r} has times finer than a microsecond; write them as numbers"
            ) from None

    def _subsets(self, table: pa.Table) -> pa.ChunkedArray | pa.Array:
        if self._subset not in table.column_names:
            return pa.nulls(table.num_rows)
        column = table[self._subset].cast(pa.string())
        known = pc.or_(pc.is_in(column, value_set=pa.array(SUBSETS)), pc.is_null(column)).to_pylist()
        if not all(known):
            row = known.index(False)
            raise UsageError(
                f"manifest {self.path}, record {row + 1}: {self._subset} is {column[row].as_py()!r}, "
                f"expected {', '.join(SUBSETS)} or nothing"
            )
        return column


def manifest(path: str | os.PathLike[str], **columns: str) -> Manifest:
    """A CSV or JSON-lines manifest as a source; see Manifest for the column names."""
    return Manifest(path, **columns)
