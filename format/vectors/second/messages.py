"""The frame of an Arrow IPC message, and the few fields of its flatbuffer that decide whether it may be read.

Arrow itself unpacks compressed bodies without asking; so what a message is has to be known before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pyarrow as pa

from .refused import Refused, check

SCHEMA, RECORD_BATCH = 1, 3  # values of the union MessageHeader
CONTINUATION = b"\xff\xff\xff\xff"


@dataclass(frozen=True)
class Message:
    """Where a message ends, what it is, and whether Arrow would unpack its body or swap its bytes."""

    end: int
    kind: int
    compressed: bool
    big_endian: bool


def message_at(data: bytes, at: int) -> Message:
    """The message that begins at ``at`` (not-arrow)."""
    try:
        check(data[at : at + 4] == CONTINUATION, "not-arrow", "no message where one should begin")
        (size,) = struct.unpack_from("<i", data, at + 4)
        check(0 < size <= len(data) - at - 8, "not-arrow", f"a message head of {size} bytes")
        table = at + 8 + _number("<I", data, at + 8)
        kind = _field(data, table, 1, "<B")
        body = _field(data, table, 3, "<q")
        check(0 <= body <= len(data) - at - 8 - size, "not-arrow", f"a message body of {body} bytes")
        place = _place(data, table, 2)
        header = place + _number("<I", data, place) if place else 0
        compressed = kind == RECORD_BATCH and bool(_place(data, header, 3))
        big_endian = kind == SCHEMA and bool(_place(data, header, 0))
    except struct.error:
        raise Refused("not-arrow", "a message head that points outside of itself") from None
    return Message(at + 8 + size + body, kind, compressed, big_endian)


def _number(kind: str, data: bytes, at: int) -> int:
    if at < 0:
        raise struct.error("before the file")
    return int(struct.unpack_from(kind, data, at)[0])


def _place(data: bytes, table: int, field: int) -> int:
    """Where a field of a table stands; 0 where it is left out."""
    vtable = table - _number("<i", data, table)
    if 4 + 2 * field + 2 > _number("<H", data, vtable):
        return 0
    offset = _number("<H", data, vtable + 4 + 2 * field)
    return table + offset if offset else 0


def _field(data: bytes, table: int, field: int, kind: str) -> int:
    place = _place(data, table, field)
    return _number(kind, data, place) if place else 0


def names_in(field: pa.Field) -> list[str]:
    """Of a column and all that is inside it; one that is no UTF-8 is a UnicodeDecodeError."""
    kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    return [field.name, *(name for i in range(kind.num_fields) for name in names_in(kind.field(i)))]


def has_dictionary(kind: pa.DataType) -> bool:
    """Whether a type is a dictionary or has one inside."""
    if pa.types.is_dictionary(kind):
        return True
    if isinstance(kind, pa.BaseExtensionType):
        return has_dictionary(kind.storage_type)
    return any(has_dictionary(kind.field(i).type) for i in range(kind.num_fields))
