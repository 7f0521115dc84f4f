"""A table that names images and says what they are: CSV, JSON lines or Parquet."""

from __future__ import annotations

import io
import os
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from ...errors import NotFound, UsageError
from ...stores.bucket import ObjectUrl, is_bucket_url
from .columns import Column, check_columns, label_column, metadata_column, subset_column, texts
from .places import FetchedImage, bucket_at
from .protocol import CHUNK_ROWS, Chunk, ImageRef, Listing


class Manifest:
    """One row an image, in the table's order. Paths are relative to the table's folder, or ``s3://…`` URLs.

    Args:
        path: ``.csv``, ``.jsonl``, ``.ndjson`` or ``.parquet``: a file, or the URL of an object. One from a bucket
            names objects only.
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
        text = os.fspath(path)
        self.path: Path | ObjectUrl = ObjectUrl.parse(text) if is_bucket_url(text) else Path(text)
        self._where = f"manifest {text}"
        self._path_column = path_column
        self._label_column = label_column
        self._subset_column = subset_column

    def listing(self) -> Listing:
        table = self._read()
        self._check_columns(table.column_names)
        if table.num_rows == 0:
            raise UsageError(f"{self._where} has a header and no rows; expected one row an image")
        paths = texts(table[self._path_column], self._path_column, self._where)
        keys = texts(table["key"], "key", self._where) if "key" in table.column_names else [*map(_key_of, paths)]
        self._check_unique(keys)
        columns: dict[str, Column] = {
            "key": pa.array(keys, pa.string()),
            "label": self._optional(table, self._label, label_column),
            "subset": self._optional(
                table, self._subset, lambda column, where: subset_column(column, self._subset, where)
            ),
        }
        used = {self._path_column, self._label, self._subset, "key"}
        columns |= {
            name: metadata_column(table[name], name, self._where) for name in table.column_names if name not in used
        }
        return Listing(
            chunks=self._chunks(pa.table(columns), paths),
            records=len(keys),
            root=self.path if isinstance(self.path, Path) else None,
            remote=isinstance(self.path, ObjectUrl) or any(map(is_bucket_url, paths)),
        )

    @property
    def _label(self) -> str:
        return self._label_column or "label"

    @property
    def _subset(self) -> str:
        return self._subset_column or "subset"

    def _chunks(self, annotations: pa.Table, paths: list[str]) -> Iterator[Chunk]:
        for start in range(0, len(paths), CHUNK_ROWS):
            images = [self._image(path) for path in paths[start : start + CHUNK_ROWS]]
            yield Chunk(annotations=annotations.slice(start, CHUNK_ROWS), images=images)

    def _image(self, path: str) -> ImageRef:
        if is_bucket_url(path):
            url = ObjectUrl.parse(path)
            return FetchedImage(bucket_at(url.bucket), url.name)
        if isinstance(self.path, Path):
            return self.path.parent / path
        name = posixpath.normpath(posixpath.join(posixpath.dirname(self.path.name), path))
        return FetchedImage(bucket_at(self.path.bucket), name.lstrip("/"))

    def _read(self) -> pa.Table:
        name = self.path.name.lower()
        try:
            file = self._open()
            if name.endswith(".csv"):
                table = pa.csv.read_csv(file, convert_options=self._csv_options())
            elif name.endswith(".parquet"):
                table = pa.parquet.read_table(file)
            else:
                table = self._read_json_lines(file)
            _ = table.column_names  # decodes them, which UTF-16 fails
            return table
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self._where} cannot be read: {str(error).splitlines()[0]}") from error

    def _open(self) -> Path | io.BytesIO:
        """The table's file; one of a bucket, in memory."""
        missing = (
            f"source {self._where.partition(' ')[2]} does not exist; expected a folder of class folders or a manifest"
        )
        if isinstance(self.path, Path):
            if not self.path.exists():
                raise UsageError(missing)
            file: Path | io.BytesIO = self.path
            size = self.path.stat().st_size
        else:
            try:
                file = io.BytesIO(bucket_at(self.path.bucket).get(self.path.name))
            except NotFound:
                raise UsageError(missing) from None
            size = len(file.getbuffer())
        if size == 0:
            raise UsageError(f"{self._where} is empty; expected a table with a {self._path_column!r} column")
        return file

    def _read_json_lines(self, file: Path | io.BytesIO) -> pa.Table:
        """Arrow takes text that looks like dates for dates; paths, keys and labels are text."""
        table = pa.json.read_json(file)
        wanted = {self._path_column, self._label, self._subset, "key"}
        dates = [field.name for field in table.schema if field.name in wanted and pa.types.is_timestamp(field.type)]
        if not dates:
            return table
        schema = pa.schema([(name, pa.string()) for name in dates])
        if isinstance(file, io.BytesIO):
            file.seek(0)
        return pa.json.read_json(file, parse_options=pa.json.ParseOptions(explicit_schema=schema))

    def _csv_options(self) -> pa.csv.ConvertOptions:
        typed = {self._path_column: pa.string(), self._subset: pa.string(), "key": pa.string()}
        # Only the empty field is missing: "NA" may well be a class.
        return pa.csv.ConvertOptions(column_types=typed, strings_can_be_null=True, null_values=[""])

    def _check_columns(self, found: list[str]) -> None:
        for name in (self._path_column, self._label_column, self._subset_column):
            if name is not None and name not in found:
                raise UsageError(f"{self._where} has no column {name!r}; it has {', '.join(found)}")
        check_columns(found, {self._path_column, self._label, self._subset, "key"}, self._where)

    def _check_unique(self, keys: list[str]) -> None:
        seen: dict[str, int] = {}
        for row, key in enumerate(keys):
            if seen.setdefault(key, row) != row:
                raise UsageError(
                    f"{self._where}, records {seen[key] + 1} and {row + 1}: both have key {key!r}; "
                    "keys are unique (a 'key' column overrides the path)"
                )

    def _optional(self, table: pa.Table, name: str, convert: Callable[[Column, str], Column]) -> Column:
        return convert(table[name], self._where) if name in table.column_names else pa.nulls(table.num_rows)


def _key_of(path: str) -> str:
    if is_bucket_url(path):
        url = ObjectUrl.parse(path)
        return url.with_name(url.name)
    return path.replace(os.sep, "/")


def manifest(path: str | os.PathLike[str], **columns: str) -> Manifest:
    """A CSV, JSON-lines or Parquet manifest as a source; see Manifest for the column names."""
    return Manifest(path, **columns)
