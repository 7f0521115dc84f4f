"""Weights files: safetensors in one canonical spelling, so that equal weights have equal bytes.

The layout is that of safetensors (https://github.com/huggingface/safetensors, "Format"): eight
bytes little-endian header length, a JSON header, the tensors. Canonical means: names sorted, tensors
packed in that order, header without spaces and without metadata, padded with spaces to 8 bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from .digests import file_digest
from .errors import DamagedError, FormatError

_DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
MAX_HEADER_BYTES = 100_000_000  # as in safetensors


class RawTensor(NamedTuple):
    """A tensor without a framework: safetensors dtype name, shape, little-endian bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


def write_weights(tensors: Mapping[str, RawTensor]) -> tuple[str, bytes]:
    """Serialise tensors.

    Returns:
        The weights digest (SHA-256 of the file) and the file's bytes.
    """
    header: dict[str, Any] = {}
    offset = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        end = offset + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    body = b"".join(bytes(tensors[name].data) for name in sorted(tensors))
    data = struct.pack("<Q", len(text)) + text + body
    return file_digest(data), data


def read_weights(data: bytes | memoryview, digest: str, *, where: str) -> dict[str, RawTensor]:
    """Check a weights file against its name and list its tensors, as views.

    Raises:
        DamagedError: ``bad-digest``.
        FormatError: ``bad-weights``.
    """
    if file_digest(data) != digest:
        raise DamagedError("bad-digest", "its bytes are not those it is named by", where=where)
    view = memoryview(data)
    try:
        (length,) = struct.unpack_from("<Q", view)
        if length > min(MAX_HEADER_BYTES, len(view) - 8):
            raise ValueError(f"its header has {length} bytes")
        header = json.loads(bytes(view[8 : 8 + length]))
        return {name: _tensor(entry, view[8 + length :]) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, struct.error, AttributeError, RecursionError) as error:
        raise FormatError("bad-weights", f"it is no weights file: {error!s:.200}", where=where) from error


def _tensor(entry: dict[str, Any], body: memoryview) -> RawTensor:
    start, end = entry["data_offsets"]
    if not isinstance(entry["shape"], list):
        raise ValueError(f"a tensor has the shape {entry['shape']!r:.80}")
    size = _DTYPES[entry["dtype"]] * (0 not in entry["shape"])
    for side in entry["shape"]:
        if type(side) is not int or side < 0:
            raise ValueError(f"a tensor has the shape {entry['shape']!r:.80}")
        size *= side
        if size > len(body):  # said at once: the product of all sides of a long header would take hours
            break
    if not 0 <= start <= end <= len(body) or end - start != size:
        raise ValueError("a tensor lies outside the file")
    return RawTensor(entry["dtype"], tuple(entry["shape"]), body[start:end])
