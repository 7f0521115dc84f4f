"""Columns of a table as annotations want them: labels, subsets, keys, metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import pyarrow as pa

from hapistore_format import SUBSETS
from hapistore_format.annotations import RESERVED

from ...errors import UsageError
from .subset_names import subset_called

Column: TypeAlias = "pa.Array | pa.ChunkedArray"
_LONGEST_NAME = 255
DEEPEST = 32
"""Arrow's files nest to 64, and readers of JSON not much further."""


def check_column_name(name: object, where: str) -> None:
    """Refuse a metadata column that annotations cannot have.

    Raises:
        UsageError: it is no usable name, or hapistore's own.
    """
    if not isinstance(name, str) or not name or len(name) > _LONGEST_NAME:
        raise UsageError(f"{where} has column {name!r:.80} twice, or without a usable name")
    if name in RESERVED:
        raise UsageError(f"{where} has a column {name!r}, which hapistore uses itself; rename it")


def check_columns(found: list[str], used: Iterable[str], where: str) -> None:
    """Refuse names that come twice or that annotations cannot have.

    Args:
        used: those that are no metadata: path, key, label, subset as the source calls them.
    """
    for name in found:
        if found.count(name) > 1 or not name or len(name) > _LONGEST_NAME:
            raise UsageError(f"{where} has column {name!r:.80} twice, or without a usable name")
    for name in found:
        if name not in used:
            check_column_name(name, where)


def is_label_type(kind: pa.DataType) -> bool:
    """Whether labels are stored in this type."""
    return kind in (pa.string(), pa.int64(), pa.float64(), pa.null())


def label_column(column: Column, where: str) -> Column:
    """Labels as string, int64, double or null.

    Raises:
        UsageError: they are of another type.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if is_text(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    raise UsageError(f"{where}: labels are of type {kind}, expected text or numbers")


def subset_column(column: Column, name: str, where: str, *, first_row: int = 0) -> Column:
    """Subsets by their names here: ``validation`` is val.

    Raises:
        UsageError: one is none of them, and not null; the message names its row, from 1.
    """
    values = plain(column).cast(pa.string()).to_pylist()
    subsets = [value if value is None else subset_called(value) for value in values]
    for row, (value, subset) in enumerate(zip(values, subsets, strict=True), first_row + 1):
        if subset is None and value is not None:
            raise UsageError(f"{where}, record {row}: {name} is {value!r}, expected {', '.join(SUBSETS)} or nothing")
    return pa.array(subsets, pa.string())


def metadata_column(column: Column, name: str, where: str) -> Column:
    """A metadata column in types that become rows and come back.

    Raises:
        UsageError: its times are finer than Python's, or its type is none that annotations hold.
    """
    column = plain(column)
    try:
        if _is_fine(column.type):  # Python's times, which rows become, end at microseconds
            column = column.cast(_in_microseconds(column.type))
        nested = [column.type.field(number).type for number in range(column.type.num_fields)]
        if any(map(_holds_fine, nested)):
            raise pa.ArrowInvalid("nanoseconds")
    except pa.ArrowInvalid:
        raise UsageError(
            f"{where}: column {name!r} has times finer than a microsecond; write them as numbers"
        ) from None
    try:
        pa.array([None], column.type)
    except (pa.ArrowException, TypeError) as error:
        raise _of_odd_type(name, column.type, where) from error
    if depth(column.type) > DEEPEST:
        raise _of_odd_type(name, column.type, where)
    return column


def depth(kind: pa.DataType) -> int:
    """How deep a type nests; 1 where it does not."""
    return 1 + max((depth(kind.field(number).type) for number in range(kind.num_fields)), default=0)


def _of_odd_type(name: str, kind: pa.DataType, where: str) -> UsageError:
    return UsageError(f"{where}: column {name!r} is {kind!s:.200}, which annotations cannot hold; write it as text")


def _is_fine(kind: pa.DataType) -> bool:
    timed = pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind)
    return bool(timed and kind.unit == "ns")


def _holds_fine(kind: pa.DataType) -> bool:
    return _is_fine(kind) or any(_holds_fine(kind.field(number).type) for number in range(kind.num_fields))


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.duration("us") if pa.types.is_duration(kind) else pa.time64("us")


def texts(column: Column, name: str, where: str, *, first_row: int = 0) -> list[str]:
    """A column of paths or keys, none missing.

    Raises:
        UsageError: a value is no text, or empty; the message names its row, from 1.
    """
    values = plain(column).to_pylist()
    for row, value in enumerate(values, first_row + 1):
        if not isinstance(value, str) or not value:
            raise UsageError(f"{where}, record {row}: {name} is {value!r}, expected text")
    return values


def plain(column: Column) -> Column:
    """Values of a dictionary, of an extension, of a view."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = column.cast(kind.storage_type) if isinstance(column, pa.ChunkedArray) else column.storage
        return plain(column)
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.string())
    return column


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text of some kind."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
