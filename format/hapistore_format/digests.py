"""Identity: SHA-256 of what a thing consists of, written as 64 lower-case hexadecimal digits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_DIGEST = re.compile(r"[0-9a-f]{64}")


def record_digest(image: bytes | memoryview) -> bytes:
    """Digest of a record: SHA-256 of its encoded image, 32 raw bytes. Annotations are not part of it."""
    return hashlib.sha256(image).digest()


def shard_digest(record_digests: Iterable[bytes]) -> str:
    """Digest of a shard: SHA-256 of its records' raw digests in row order. Equal in every layout."""
    whole = hashlib.sha256()
    for digest in record_digests:
        if len(digest) != 32:
            raise ValueError(f"a record digest has {len(digest)} bytes, expected 32")
        whole.update(digest)
    return whole.hexdigest()


def file_digest(data: bytes | memoryview) -> str:
    """Digest of a file that is named by its own bytes (annotations, weights)."""
    return hashlib.sha256(data).hexdigest()


def is_digest(text: object) -> bool:
    """Whether ``text`` is written as a digest is."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None
