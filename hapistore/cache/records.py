"""What the index holds, as bytes.

A key begins with a letter for its kind; the index's order keeps each kind together, and leases by their holder.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, fields
from typing import NamedTuple

from ..errors import HapistoreError
from .names import KEY_BYTES, ShardName

ENTRY, LEASE, ARRIVAL, DOOMED, HOLDER, FUTURE, POSITION, STRANGER = (bytes([letter]) for letter in b"eladhfpu")
TOTALS = b"t"


class IndexDamaged(HapistoreError):
    """The index does not hold what it must; it is built again from the files."""


class Entry(NamedTuple):
    """A shard that is there.

    Attributes:
        codec: of the file: that of the store's, or the same without its compressor.
        disk_bytes: what the file takes of the disk; file_bytes: its length; shard_bytes: of the shard in it.
        fetched_bytes: what came over the link.
        checksum: XXH3-128 of the shard's bytes.
        created, used: seconds since 1970.
        hits: leases that found it here.
        damaged: found so while others had it open; nobody gets it any more.
    """

    shard: ShardName
    codec: str
    disk_bytes: int
    file_bytes: int
    shard_bytes: int
    fetched_bytes: int
    checksum: bytes
    created: float
    used: float
    hits: int
    pinned: bool
    damaged: bool

    @property
    def sole(self) -> bool:
        """Whether nothing else has it, as far as is known."""
        return not self.shard.origin

    def pack(self) -> bytes:
        texts = "\0".join((*self.shard, self.codec)).encode()
        return _ENTRY.pack(*self[2:]) + texts

    @classmethod
    def unpack(cls, data: bytes) -> Entry:
        try:
            numbers = _ENTRY.unpack_from(data)
            origin, name, codec = data[_ENTRY.size :].decode().split("\0")
        except (struct.error, ValueError) as error:
            raise IndexDamaged(f"the cache's index holds an entry that cannot be read: {error}") from error
        return cls(ShardName(origin, name), codec, *numbers)


_ENTRY = struct.Struct("<QQQQ16sddQ??")


class Arrival(NamedTuple):
    """A shard that somebody is fetching or writing: who, by which file, and what is reserved for it."""

    holder: bytes
    token: bytes
    reserved_bytes: int

    def pack(self) -> bytes:
        return _ARRIVAL.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> Arrival:
        try:
            return cls(*_ARRIVAL.unpack(data))
        except struct.error as error:
            raise IndexDamaged(f"the cache's index holds an arrival that cannot be read: {error}") from error


_ARRIVAL = struct.Struct("<16s16sQ")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all processes of a cache keep to.

    Attributes:
        capacity_bytes: of everything in its folder; reserve_bytes: what stays free on the file system.
        policy: a name in ``POLICIES``.
    """

    capacity_bytes: int
    reserve_bytes: int
    policy: str


@dataclass(kw_only=True)
class Totals:
    """Counts since the index was made.

    Attributes:
        stored_bytes: what shards take on the disk, those included that are about to be removed.
        hits, misses: leases of what was here and of what was not; streamed: of the latter, what was not let in.
        saved_bytes: what hits did not fetch; fetched_bytes: what misses did.
        evicted, damaged: shards that went.
    """

    stored_bytes: int = 0
    hits: int = 0
    misses: int = 0
    streamed: int = 0
    saved_bytes: int = 0
    fetched_bytes: int = 0
    evicted: int = 0
    evicted_bytes: int = 0
    damaged: int = 0

    def pack(self) -> bytes:
        return _TOTALS.pack(*vars(self).values())

    @classmethod
    def unpack(cls, data: bytes) -> Totals:
        try:
            return cls(**dict(zip(_TOTAL_NAMES, _TOTALS.unpack(data), strict=True)))
        except struct.error as error:
            raise IndexDamaged(f"the cache's index holds counters that cannot be read: {error}") from error


_TOTAL_NAMES = [field.name for field in fields(Totals)]
_TOTALS = struct.Struct(f"<{len(_TOTAL_NAMES)}Q")


class HolderInfo(NamedTuple):
    """A process, for people."""

    host: str
    pid: int
    user: str
    command: str
    since: float

    def pack(self) -> bytes:
        return json.dumps(self).encode()

    @classmethod
    def unpack(cls, data: bytes) -> HolderInfo:
        try:
            return cls(*json.loads(data))
        except (ValueError, TypeError) as error:
            raise IndexDamaged(f"the cache's index holds a process that cannot be read: {error}") from error


def lease_key(holder: bytes, key: bytes) -> bytes:
    return LEASE + holder + key


def leased_key(lease: bytes) -> bytes:
    """Which shard a lease is of."""
    return lease[-KEY_BYTES:]
