"""Types of columns of a stream: each chunk's are inferred, and must go together with those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from hapistore_format import SUBSETS

from ...errors import UsageError
from .columns import DEEPEST, check_column_name, depth, is_label_type
from .subset_names import subset_called

_MOST_COLUMNS = 1000
_FIXED = {"key": pa.string(), "subset": pa.string()}


class ColumnTypes:
    """What the columns' types have been so far.

    Args:
        where: the source, for errors.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._types: dict[str, pa.DataType] = {"key": pa.string(), "label": pa.null(), "subset": pa.null()}

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Rows as Arrow: key, label and subset first. A column that no row has is not there.

        Raises:
            UsageError: a value is of no type that Arrow has, or of one that does not go with those before; the
                message names column, key and types.
        """
        names = dict.fromkeys(name for row in rows for name in row)
        for name in names:
            if name not in self._types:
                check_column_name(name, self._where)
                if len(self._types) == _MOST_COLUMNS:
                    raise UsageError(
                        f"{self._where} has more than {_MOST_COLUMNS} columns; put them into one that nests"
                    )
        ordered = dict.fromkeys(["key", "label", "subset", *names])
        return pa.table({name: self._column(name, rows) for name in ordered})

    def _column(self, name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
        values = [row.get(name) for row in rows]
        if name == "subset":
            values = [self._subset(row) for row in rows]
        if name == "label":
            values = [int(value) if isinstance(value, bool) else value for value in values]
        try:
            found = pa.array(values, _FIXED.get(name))
            common = unify(self._types.get(name, pa.null()), found.type)
            found = found if common == found.type else pa.array(values, common)
            if depth(found.type) > DEEPEST:
                raise pa.ArrowTypeError(f"it nests more than {DEEPEST} deep")
            if name == "label" and not is_label_type(found.type):
                raise pa.ArrowTypeError("no label")
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            raise self._refusal(name, rows) or UsageError(f"{self._where}: column {name!r}: {error}") from error
        self._types[name] = found.type
        return found

    def _subset(self, row: Mapping[str, Any]) -> str | None:
        said = row.get("subset")
        subset = subset_called(said) if isinstance(said, str) else None
        if subset is None and said is not None:
            raise UsageError(
                f"{self._where}, record {row.get('key')!r}: subset is {said!r:.80}, "
                f"expected {', '.join(SUBSETS)} or nothing"
            )
        return subset

    def _refusal(self, name: str, rows: Sequence[Mapping[str, Any]]) -> UsageError | None:
        """The first value that does not go with those before it, in words."""
        type_so_far = self._types.get(name, pa.null())
        for row in rows:
            value, key = row.get(name), row.get("key")
            where = f"{self._where}, record {key!r}: {name}"
            try:
                found = pa.array([int(value) if isinstance(value, bool) and name == "label" else value]).type
            except (pa.ArrowException, OverflowError, TypeError, ValueError):
                return UsageError(f"{where} is {_describe(value)}, which Arrow has no type for; use plain values")
            if name == "label" and not is_label_type(found):
                return UsageError(f"{where} is of type {found}, expected text or a number")
            try:
                type_so_far = unify(type_so_far, found)
            except pa.ArrowException:
                return UsageError(
                    f"{where} is of type {found}, in earlier records it is {type_so_far}; make them equal"
                )
        return None


def unify(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds both without loss.

    Raises:
        pa.ArrowException: there is none.
    """
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if _is_bytes(one) != _is_bytes(other):
        raise pa.ArrowTypeError(f"{one} and {other}")
    schemas = [pa.schema([("x", one)]), pa.schema([("x", other)])]
    return pa.unify_schemas(schemas, promote_options="permissive").field("x").type


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _describe(value: object) -> str:
    return f"{value!r:.40}" if isinstance(value, int) else f"a {type(value).__name__}"
