"""LMDB files opened for reading: checked page by page first, and once in a process.

LMDB follows the page numbers and offsets that it finds in a file, so a file that lies about them
crashes the process. ``lmdb.verify`` walks the pages in Python, where a lie is a sentence. And LMDB forbids
to open one file twice in a process, so readers share an environment; it is closed with the last.
"""

from __future__ import annotations

import os
import struct
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import lmdb
import lmdb.verify

from .errors import FormatError

# At offset 16 of LMDB 0.9's first page: its magic number, and version 1 of its format.
_MAGIC = struct.pack("<II", 0xBEEFC0DE, 1)
_KEYS_AT_ONCE = 1024
_Key = tuple[int, int]


@dataclass
class _Shared:
    environment: lmdb.Environment
    holders: int = 0


class LmdbFile:
    """Values by key. Safe from several threads, and in a process that forks.

    Args:
        path: the file, whose bytes are those that were written: check their seal first.
        where: the object's name, for errors.
        whole: whether the file is to have exactly the pages that it claims, as ours have. Those of others may have
            room behind them.

    Raises:
        FormatError: ``not-lmdb``.
    """

    def __init__(self, path: Path, *, where: str, whole: bool = True) -> None:
        self._where = where
        _check_pages(path, where=where)
        key, self._environment = _acquire(path, where=where, whole=whole)
        # Without locks there is nothing that an exiting process would have to give back.
        weakref.finalize(self, _release, key).atexit = False

    def __len__(self) -> int:
        return int(self._environment.stat()["entries"])

    def get(self, key: bytes) -> bytes | None:
        """A copy of the value: LMDB's own buffers are gone with the environment, and whoever touches one crashes."""
        try:
            with self._environment.begin() as transaction:
                value: bytes | None = transaction.get(key)
                return value
        except lmdb.Error as error:
            raise FormatError("not-lmdb", f"LMDB cannot read key {key!r}: {error}", where=self._where) from error

    def keys(self) -> Iterator[bytes]:
        """Every key, in order of their bytes."""
        last: bytes | None = None
        while True:
            with self._environment.begin() as transaction:
                cursor = transaction.cursor()
                there = cursor.first() if last is None else cursor.set_range(last) and cursor.next()
                found = list(islice(cursor.iternext(values=False), _KEYS_AT_ONCE)) if there else []
            if not found:
                return
            yield from found
            last = found[-1]


def _check_pages(path: Path, *, where: str) -> None:
    with open(path, "rb") as file:
        head = file.read(24)
    if head[16:] != _MAGIC:
        raise FormatError("not-lmdb", "it is no LMDB file of a 64-bit little-endian machine", where=where)
    try:
        problems = lmdb.verify.verify(os.fspath(path), subdir=False)
    except lmdb.verify.VerifyError as error:
        problems = [str(error)]
    if problems:
        raise FormatError("not-lmdb", f"it is no sound LMDB file: {problems[0]}", where=where)


_lock = threading.Lock()
_open: dict[_Key, _Shared] = {}
# Finalizers run anywhere, even in a thread that holds the lock: they leave word here and take it if they can.
_released: deque[_Key] = deque()


def _acquire(path: Path, *, where: str, whole: bool) -> tuple[_Key, lmdb.Environment]:
    with _lock:
        _close_released()
        status = path.stat()
        # Not the path: a shard that was set aside and made again is another file.
        key = (status.st_dev, status.st_ino)
        if key not in _open:
            _open[key] = _Shared(_open_environment(path, status.st_size, where=where, whole=whole))
        _open[key].holders += 1
        return key, _open[key].environment


def _release(key: _Key) -> None:
    _released.append(key)
    if _lock.acquire(blocking=False):
        try:
            _close_released()
        finally:
            _lock.release()


def _close_released() -> None:
    while _released:
        key = _released.popleft()
        shared = _open[key]
        shared.holders -= 1
        if not shared.holders:
            del _open[key]
            shared.environment.close()


def _open_environment(path: Path, size: int, *, where: str, whole: bool) -> lmdb.Environment:
    try:
        environment = lmdb.open(
            os.fspath(path), map_size=size, subdir=False, readonly=True, lock=False, create=False, readahead=False
        )
    except lmdb.Error as error:
        raise FormatError("not-lmdb", f"LMDB cannot open it: {error}", where=where) from error
    problem = _find_problem(environment, size, whole=whole)
    if problem:
        environment.close()
        raise FormatError("not-lmdb", problem, where=where)
    return environment


def _find_problem(environment: lmdb.Environment, size: int, *, whole: bool) -> str:
    """What the page walk allows and this format does not."""
    pages = environment.info()["last_pgno"] + 1
    claimed = pages * environment.stat()["psize"]
    if claimed > size or (whole and claimed < size):
        return f"it has {size} bytes, not the {pages} pages it claims"  # reading past the end kills the process
    with environment.begin() as transaction:
        flags = environment.open_db(None, transaction, create=False).flags()
    return "its keys are not plain bytes with one value each" if any(flags.values()) else ""


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork)
