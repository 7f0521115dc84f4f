"""Encapsulated Arrow messages read one by one, from where the index says they are.

Arrow's file reader follows the footer, which may point anywhere, and unpacks compressed bodies to whatever size
they claim. Here a span is exactly the messages in it, and none is compressed.
"""

from __future__ import annotations

import struct

import pyarrow as pa

from .errors import FormatError

# Header types of a message, and fields of these headers (Arrow's Message.fbs and Schema.fbs).
_SCHEMA, _ENDIANNESS = 1, 0
_RECORD_BATCH, _COMPRESSION = 3, 3


def read_messages(span: memoryview, kinds: tuple[str, ...], *, where: str, rest: bool = False) -> list[pa.Message]:
    """The messages of a span, which must be of these kinds and fill it, unless there may be a ``rest``.

    Raises:
        FormatError: ``not-arrow``.
    """
    source = pa.BufferReader(pa.py_buffer(span))
    reader = pa.ipc.MessageReader.open_stream(source)
    messages = []
    try:
        for kind in kinds:
            message = reader.read_next_message()
            if message.type != kind or is_compressed(message.metadata):
                raise FormatError("not-arrow", f"a {message.type}, or a compressed one, is no {kind}", where=where)
            messages.append(message)
        if source.tell() != len(span) and not rest:
            raise FormatError("not-arrow", "bytes follow the messages of a block", where=where)
    except (pa.ArrowException, OSError, StopIteration, struct.error) as error:
        raise FormatError("not-arrow", f"Arrow cannot read it: {error}", where=where) from error
    return messages


def read_schema(message: pa.Message, *, where: str) -> pa.Schema:
    """A schema of little-endian data whose names are UTF-8.

    Arrow checks neither: it would swap bytes or not as it was built, and its Python fails where it reads a name.

    Raises:
        FormatError: ``not-arrow``.
    """
    if _has_field(message.metadata, _SCHEMA, _ENDIANNESS):
        raise FormatError("not-arrow", "its data are big-endian", where=where)
    try:
        schema = pa.ipc.read_schema(message)
        for field in schema:
            _names(field)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FormatError("not-arrow", f"Arrow cannot read its schema: {error}", where=where) from error
    return schema


def _names(field: pa.Field) -> list[str]:
    """Of a column and all inside it, decoded by being read."""
    kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    return [field.name, *(name for i in range(kind.num_fields) for name in _names(kind.field(i)))]


def is_compressed(metadata: pa.Buffer) -> bool:
    """Whether a message, given by its metadata, is a record batch with a compressed body."""
    return _has_field(metadata, _RECORD_BATCH, _COMPRESSION)


def _has_field(metadata: pa.Buffer, header_type: int, number: int) -> bool:
    """Whether a message has a header of this type, and in it a field that is not left out as the default.

    Args:
        metadata: a Message table, which Arrow has verified (flatbuffers: a table begins with the distance to its
            vtable; that lists its size, the table's, and where each field is, 0 if left out).
    """
    data = memoryview(metadata)
    (message,) = struct.unpack_from("<I", data, 0)
    kind = _field(data, message, 1)
    if not kind or data[kind] != header_type:
        return False
    header = _field(data, message, 2)
    return bool(_field(data, header + struct.unpack_from("<I", data, header)[0], number))


def _field(data: memoryview, table: int, number: int) -> int:
    vtable = table - struct.unpack_from("<i", data, table)[0]
    at = 4 + 2 * number
    offset = struct.unpack_from("<H", data, vtable + at)[0] if at < struct.unpack_from("<H", data, vtable)[0] else 0
    return table + offset if offset else 0
