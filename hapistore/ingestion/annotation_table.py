"""The table of an annotate: read from a file, or given; checked, and its columns brought to the dataset's types."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from hapistore_format import SUBSETS
from hapistore_format.sealed_arrow import MARKER_TEXT

from ..errors import UsageError

_TEXTS = {"key": pa.string(), "subset": pa.string(), "dropped": pa.bool_()}
_KINDS = (".csv", ".jsonl", ".ndjson", ".parquet")
_SHOWN = 5


def load_table(
    source: str | os.PathLike[str] | pa.Table, types: Mapping[str, pa.DataType], retype: Collection[str]
) -> pa.Table:
    """The table, one row a key, columns in its order, each of the dataset's type where the dataset has the column.

    Args:
        source: a ``.csv``, ``.jsonl``, ``.ndjson`` or ``.parquet`` file, or a table.
        types: of the dataset's columns, as far as they have a value; retype: names of those that may change theirs.

    Raises:
        UsageError: the table cannot be read, lacks keys or has some twice, or a column has another type.
    """
    what = "the table" if isinstance(source, pa.Table) else str(source)
    wanted = {name: kind for name, kind in {**types, **_TEXTS}.items() if name not in retype}
    table = source if isinstance(source, pa.Table) else _read(Path(source), wanted)
    _check_columns(table.column_names, what)
    for number, name in enumerate(table.column_names):
        column = _plain(table[name], name, what)
        if name in wanted:
            column = _as_type(column, wanted[name], name, what)
        table = table.set_column(number, name, column)
    _check_keys(table["key"], what)
    _check_values(table, what)
    return table.combine_chunks()


def listed(values: Sequence[object]) -> str:
    """The first few of many, and how many there are."""
    more = f", … ({len(values)} in all)" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more


def _read(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    suffix = path.suffix.lower()
    if suffix not in _KINDS or path.is_dir():
        raise UsageError(f"{path} is no table, expected a file called {', '.join(_KINDS)}")
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    read = {".csv": _read_csv, ".parquet": _read_parquet}.get(suffix, _read_json_lines)
    try:
        try:
            table = read(path, types)
        except pa.ArrowInvalid:  # of other types than the dataset has, which is said by name; or no table at all
            table = read(path, {"key": pa.string()})
        _ = table.column_names  # decodes them, which UTF-16 fails
        return table
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _read_csv(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    flat = {name: kind for name, kind in types.items() if not pa.types.is_nested(kind)}
    # Only the empty field is missing: "NA" may well be a class.
    options = pa.csv.ConvertOptions(column_types=flat, strings_can_be_null=True, null_values=[""])
    return pa.csv.read_csv(path, convert_options=options)


def _read_json_lines(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    """With the dataset's types, since Arrow takes text that looks like dates for dates."""
    given = pa.json.read_json(path).column_names
    schema = pa.schema([(name, kind) for name, kind in types.items() if name in given])
    return pa.json.read_json(path, parse_options=pa.json.ParseOptions(explicit_schema=schema))


def _read_parquet(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    return pa.parquet.ParquetFile(path).read()


def _check_columns(names: Sequence[str], what: str) -> None:
    if "key" not in names:
        raise UsageError(f"{what} has no column 'key'; it has {', '.join(names) or 'none'}")
    if len(names) == 1:
        raise UsageError(f"{what} has keys and nothing else; expected label, subset, dropped or metadata beside them")
    for name in names:
        if names.count(name) > 1 or not name or len(name) > 255 or MARKER_TEXT in name:
            raise UsageError(f"{what} has column {name!r:.80} twice, or without a usable name")


def _plain(column: pa.ChunkedArray, name: str, what: str) -> pa.ChunkedArray:
    """A column in one of the types that annotations have, whatever its writer chose."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if kind == pa.timestamp("ns") or (pa.types.is_timestamp(kind) and kind.unit == "ns"):
        try:  # Python's datetime, which rows become, ends at microseconds
            return column.cast(pa.timestamp("us", kind.tz))
        except pa.ArrowInvalid:
            raise UsageError(
                f"{what}: column {name!r} has times finer than a microsecond; write them as numbers"
            ) from None
    if name == "label" and (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return column.cast(pa.int64())
    if name == "label" and pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if name == "label" and not (pa.types.is_string(kind) or pa.types.is_null(kind)):
        raise UsageError(f"{what}: labels are of type {kind}, expected text or numbers")
    return column


def _as_type(column: pa.ChunkedArray, wanted: pa.DataType, name: str, what: str) -> pa.ChunkedArray:
    """The column in the dataset's type, where that can hold its values (reals to its precision)."""
    kind = column.type
    if kind == wanted:
        return column
    numbers = all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in (kind, wanted))
    times = all(pa.types.is_timestamp(k) for k in (kind, wanted))
    if pa.types.is_null(kind) or pa.types.is_nested(wanted) or numbers or times:
        try:
            return column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass  # a value would change: said below
    if name in _TEXTS:
        raise UsageError(f"{what}: column {name!r} has type {kind}, expected {wanted}")
    raise UsageError(
        f"{what}: column {name!r} has type {kind}, in the dataset it has {wanted}; make them equal, or give every "
        f"image a value and say --retype {name}"
    )


def _check_keys(keys: pa.ChunkedArray, what: str) -> None:
    if not len(keys):
        raise UsageError(f"{what} has no rows")
    if keys.null_count:
        row = pc.index(pc.is_null(keys), True).as_py()
        raise UsageError(f"{what}, record {row + 1}: there is no key ({keys.null_count} in all)")
    counts = pc.value_counts(keys)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if twice:
        raise UsageError(f"{what} has keys more than once: {listed(twice)}")


def _check_values(table: pa.Table, what: str) -> None:
    if "subset" in table.column_names:
        others = [value for value in table["subset"].unique().to_pylist() if value not in (*SUBSETS, None)]
        if others:
            raise UsageError(f"{what} has subsets {listed(others)}; expected {', '.join(SUBSETS)} or nothing")
