"""What a cached shard is called: by the store it comes from and its name there."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

KEY_BYTES = 16


class ShardName(NamedTuple):
    """A shard of a store.

    Attributes:
        origin: URL of the store that has it; empty where the cache holds the only copy, which is never evicted.
        name: the object's name there.
    """

    origin: str
    name: str


@lru_cache(1 << 16)
def key_of(shard: ShardName) -> bytes:
    """16 bytes that stand for a shard. The origin is in them: no store can put its bytes in the place of another's."""
    return blake2b(f"{shard.origin}\0{shard.name}".encode(), digest_size=KEY_BYTES).digest()
