"""A shard's file: the shard as it is, and behind it a note of what it is, by which a lost index is built again.

::

    shard, from the first byte on, so that it is mapped and read as if it were alone
    note: JSON
    length of the note (4 bytes), XXH3-128 of the note (16 bytes), ``hapicach``
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple

import xxhash

from hapistore_format import DamagedError

from .names import ShardName
from .records import Entry

_MAGIC = b"hapicach"
_FOOT = struct.Struct("<I16s8s")
_LARGEST_NOTE_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20
# The page cache takes small pieces several times as fast as large ones.
_WRITE_BYTES = 128 << 10
BLOCK_BYTES = 4096
# Of a file in many pieces: the file system keeps a map of them in a block beside it.
_SLACK_BYTES = BLOCK_BYTES


class Note(NamedTuple):
    """What a file says of itself; as in ``Entry``."""

    shard: ShardName
    codec: str
    shard_bytes: int
    fetched_bytes: int
    checksum: bytes
    created: float

    def pack(self) -> bytes:
        text = json.dumps([*self.shard, *self[1:4], self.checksum.hex(), self.created]).encode()
        return text + _FOOT.pack(len(text), xxhash.xxh3_128_digest(text), _MAGIC)


def room_for(file_bytes: int) -> int:
    """What is reserved for a file: its blocks, and a little for the file system's own."""
    return -(-file_bytes // BLOCK_BYTES) * BLOCK_BYTES + _SLACK_BYTES


def checksum_of(data: bytes | memoryview) -> bytes:
    return xxhash.xxh3_128_digest(data)


def write_shard(descriptor: int, data: memoryview, note: bytes, *, sync: bool) -> None:
    """Fill an empty file.

    Raises:
        OSError: there is no space left, or the disk fails.
    """
    size = len(data) + len(note)
    try:
        os.posix_fallocate(descriptor, 0, size)  # in few pieces, and at once whether there is space
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
    for start, part in ((0, data), (len(data), memoryview(note))):
        for at in range(0, len(part), _WRITE_BYTES):
            _write_all(descriptor, part[at : at + _WRITE_BYTES], start + at)
    if sync:
        os.fsync(descriptor)


def disk_bytes(path: Path) -> int:
    """What a file takes, or will: a file system that compresses tells late, and less than a copy would take."""
    status = path.stat()
    return max(status.st_blocks * 512, -(-status.st_size // BLOCK_BYTES) * BLOCK_BYTES)


def read_note(path: Path) -> Note:
    """What a file is.

    Raises:
        DamagedError: ``bad-note``: it does not say so.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _FOOT.size))
        foot = file.read(_FOOT.size)
        try:
            length, digest, magic = _FOOT.unpack(foot)
        except struct.error:
            length, digest, magic = 0, b"", b""
        start = size - _FOOT.size - length
        if magic != _MAGIC or length > _LARGEST_NOTE_BYTES or start < 0:
            raise DamagedError("bad-note", "it does not end in a note of what it is", where=str(path))
        file.seek(start)
        text = file.read(length)
    if xxhash.xxh3_128_digest(text) != digest:
        raise DamagedError("bad-note", "its note fails its checksum", where=str(path))
    origin, name, codec, shard_bytes, fetched_bytes, checksum, created = json.loads(text)
    if shard_bytes != start:
        raise DamagedError(
            "bad-note", f"it has {start} bytes before its note, which says {shard_bytes}", where=str(path)
        )
    return Note(ShardName(origin, name), codec, shard_bytes, fetched_bytes, bytes.fromhex(checksum), created)


def entry_of(path: Path, note: Note, *, pinned: bool) -> Entry:
    """What the index holds of a file that nobody has used yet."""
    return Entry(
        shard=note.shard,
        codec=note.codec,
        disk_bytes=disk_bytes(path),
        file_bytes=path.stat().st_size,
        shard_bytes=note.shard_bytes,
        fetched_bytes=note.fetched_bytes,
        checksum=note.checksum,
        created=note.created,
        used=note.created,
        hits=0,
        pinned=pinned,
        damaged=False,
    )


def is_sound(path: Path, note: Note) -> bool:
    """Whether the bytes are those that were written; reads them all, a little at a time."""
    state, left = xxhash.xxh3_128(), note.shard_bytes
    with open(path, "rb") as file:
        while left:
            piece = file.read(min(_PIECE_BYTES, left))
            if not piece:
                return False
            state.update(piece)
            left -= len(piece)
    return state.digest() == note.checksum


def map_file(path: Path) -> mmap.mmap:
    """A file in memory, for as long as something refers to it."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _write_all(descriptor: int, data: memoryview, at: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, at)
        data, at = data[written:], at + written
