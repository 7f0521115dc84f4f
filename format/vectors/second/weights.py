"""Frozen weights: safetensors in one spelling (recipes.md)."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass
from typing import Any

from .members import parse_object
from .refused import Refused, check

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """A tensor's type, shape, and bytes in C order."""

    dtype: str
    shape: list[int]
    data: bytes


def read_weights(data: bytes, name: str) -> dict[str, Tensor]:
    """All tensors; ``name`` is the digest in the file's name."""
    check(hashlib.sha256(data).hexdigest() == name, "bad-digest", "the file has another digest")
    check(len(data) >= 8, "bad-weights", "no header")
    (length,) = struct.unpack_from("<Q", data)
    check(length <= min(LARGEST_HEADER, len(data) - 8), "bad-weights", f"a header of {length} bytes")
    header = parse_object(data[8 : 8 + length], "bad-weights")
    return {tensor: _tensor(data[8 + length :], said) for tensor, said in header.items()}


def _tensor(body: bytes, said: Any) -> Tensor:
    try:
        dtype, shape, (first, end) = said["dtype"], said["shape"], said["data_offsets"]
        check(isinstance(shape, list), "bad-weights", "a shape that is no list")
        size = SIZES[dtype] * math.prod(shape)
        check(all(type(n) is int and n >= 0 for n in [first, end, *shape]), "bad-weights", "impossible numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("bad-weights", f"a tensor's description: {error}") from None
    check(first <= end <= len(body), "bad-weights", "a tensor outside of the file")
    check(end - first == size, "bad-weights", "a tensor that is not as long as its shape")
    return Tensor(dtype, shape, body[first:end])


def write_weights(tensors: dict[str, Tensor]) -> tuple[str, bytes]:
    """Digest and file."""
    members, at = [], 0
    for name in sorted(tensors):
        tensor = tensors[name]
        said = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, at + len(tensor.data)]}
        at += len(tensor.data)
        members.append(json.dumps(name, ensure_ascii=False) + ":" + json.dumps(said, separators=(",", ":")))
    body = b"".join(tensors[name].data for name in sorted(tensors))
    return weights_file("{" + ",".join(members) + "}", body)


def weights_file(header: str, body: bytes) -> tuple[str, bytes]:
    """Digest and file of a header, padded here, and of what follows it."""
    text = header.encode()
    text += b" " * (-len(text) % 8)
    data = struct.pack("<Q", len(text)) + text + body
    return hashlib.sha256(data).hexdigest(), data
