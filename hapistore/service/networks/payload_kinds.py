"""What bytes are, by how they begin: told without loading them."""

from __future__ import annotations

import struct

_MAGIC = (
    (b"PK\x03\x04", "a zip archive, as torch.save and torch.export write them; loading one may run code"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "a numpy file"),
    (b"GGUF", "GGUF"),
    (b"\x7fELF", "a program of this machine"),
    (b"ARROW1", "an Arrow file"),
)
_PICKLE_PROTOCOLS = range(2, 6)
_TAR_AT = 257


def kind_of(payload: bytes | memoryview) -> str:
    """``safetensors``, what else is recognised (in words, for a message), or "" (as an ONNX program is)."""
    head = bytes(memoryview(payload)[:512])
    if not head:
        return "empty"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ORTM":
        return "ONNX Runtime's own format"
    if head[0] == 0x80 and len(head) > 1 and head[1] in _PICKLE_PROTOCOLS:
        return "a pickle, which runs code when loaded"
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "a tar archive"
    if len(head) >= 9 and head[8:9] == b"{" and struct.unpack_from("<Q", head)[0] <= len(payload) - 8:
        return "safetensors"
    return ""
