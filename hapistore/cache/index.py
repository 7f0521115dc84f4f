"""The index: one LMDB file that processes change in turn.

A lock of our own keeps them apart, not LMDB's: the kernel drops it with a process however it ends, it needs no
process numbers, which mean nothing between containers, and it can be held over several transactions. Nothing is
synced: after a kill the page cache has everything, and after a power cut the index is built again from the files if
its pages do not add up.

The file has all its blocks from the beginning, so that it neither grows nor finds the disk full.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

import lmdb
import lmdb.verify

from ..errors import UsageError
from .descriptors import close_kept, keep_from_children
from .folder import Folder
from .records import ENTRY, TOTALS, Entry, IndexDamaged, Totals

_Out = TypeVar("_Out")
_VERSION_KEY, _VERSION = b"v", b"1"
_PAGE_BYTES = 4096
# A part of the capacity that a few hundred bytes for each shard of half a megabyte fit in.
_LEAST_BYTES, _MOST_BYTES, _PART_OF_CAPACITY = 1 << 20, 512 << 20, 128
_BYTES_FOR_A_RECORD = 1024
_log = logging.getLogger(__name__)

Transaction = lmdb.Transaction
Full = lmdb.MapFullError


def index_bytes(capacity_bytes: int) -> int:
    """How large the index of a cache is made."""
    wanted = min(max(capacity_bytes // _PART_OF_CAPACITY, _LEAST_BYTES), _MOST_BYTES)
    return wanted // _PAGE_BYTES * _PAGE_BYTES


class Index:
    """Opens the index, which is built where it is missing or damaged.

    Args:
        rebuild: fills a new index from the files; called in a transaction, with all others locked out.
        on_new: called, locked, when this process uses another file than before.
    """

    def __init__(
        self,
        folder: Folder,
        *,
        rebuild: Callable[[Transaction], None],
        on_new: Callable[[Index], None],
    ) -> None:
        self._folder, self._rebuild, self._on_new = folder, rebuild, on_new
        self._environment: lmdb.Environment | None = None
        self._file: tuple[int, int] | None = None
        self.bytes, self.closed = 0, False
        # A child that is forked while another thread is at work would find its halves.
        self.threads = threading.Lock()
        self._lock_file = keep_from_children(folder.open_lock())

    def run(self, work: Callable[[Index], _Out]) -> _Out:
        """Call ``work`` while no other process or thread uses the cache's index; once more where that was damaged."""
        if self.closed:
            raise ValueError(f"cache {self._folder.root} is closed")
        with self.threads, self._locked():
            try:
                return work(self)
            except (IndexDamaged, lmdb.Error) as error:
                if isinstance(error, lmdb.MapFullError):
                    raise
                _log.warning("the index of cache %s is built again: %s", self._folder.root, error)
                self._build()
                return work(self)

    def write(self) -> Transaction:
        """A transaction that writes, as a context manager."""
        assert self._environment is not None
        return self._environment.begin(write=True)

    def read(self) -> Transaction:
        assert self._environment is not None
        return self._environment.begin()

    @property
    def most_records(self) -> int:
        """How many it may hold: shards and leases together, with room for pages that are half empty."""
        return self.bytes // _BYTES_FOR_A_RECORD

    def close(self) -> None:
        """Give up the file and the lock."""
        with self.threads:
            self.closed = True
            self._forget()
            close_kept(self._lock_file)

    def after_fork(self) -> None:
        """In a child: nothing of the parent's is used any more."""
        self.threads = threading.Lock()
        self._forget()
        self._lock_file = keep_from_children(self._folder.open_lock())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        try:
            self._follow()
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def _follow(self) -> None:
        """Use the file that is there now."""
        try:
            status = self._folder.index.stat()
        except FileNotFoundError:
            self._build()
            return
        if (status.st_dev, status.st_ino) == self._file and status.st_size >= self.bytes:
            return
        self._forget()
        try:
            self._open()
        except (IndexDamaged, lmdb.Error, lmdb.verify.VerifyError) as error:
            _log.warning("the index of cache %s is built again: %s", self._folder.root, error)
            self._build()
            return
        self._on_new(self)

    def _open(self) -> None:
        check_pages(self._folder.index)
        status = self._folder.index.stat()
        self._environment = _open_environment(self._folder.index, status.st_size)
        self._file, self.bytes = (status.st_dev, status.st_ino), status.st_size
        with self.read() as transaction:
            check_records(transaction)

    def _build(self) -> None:
        """A new index from the files, in the place of the old one; other processes notice that it is another file."""
        self._forget()
        if self._folder.index.exists():
            # Others may have it mapped, and it would keep its blocks. They look at its size before they touch it.
            os.truncate(self._folder.index, 0)
        path = self._folder.index.with_name("index.new")
        path.unlink(missing_ok=True)
        size = index_bytes(self._folder.read_settings().get("capacity_bytes", 0))
        environment = _open_environment(path, size)
        try:
            with environment.begin(write=True) as transaction:
                transaction.put(_VERSION_KEY, _VERSION)
                self._rebuild(transaction)
        finally:
            environment.close()
        with open(path, "rb+") as file:
            self._folder.adopt(file.fileno())
            os.posix_fallocate(file.fileno(), 0, size)
        os.replace(path, self._folder.index)
        self._open()
        self._on_new(self)

    def _forget(self) -> None:
        if self._environment is not None:
            self._environment.close()
        self._environment, self._file, self.bytes = None, None, 0


def check_pages(path: Path) -> None:
    """Walk the pages of an index before LMDB follows them: a page that lies would end the process.

    Raises:
        IndexDamaged: they do not add up.
    """
    try:
        problems = lmdb.verify.verify(os.fspath(path), subdir=False)
    except lmdb.verify.VerifyError as error:
        problems = [str(error)]
    if problems:
        raise IndexDamaged(f"{path} is no sound LMDB file: {problems[0]}")


def check_records(transaction: Transaction) -> None:
    """Read everything once.

    Raises:
        IndexDamaged: something cannot be read.
        UsageError: a newer version has made it.
    """
    version = find(transaction, _VERSION_KEY) or b""
    if version != _VERSION:
        if version.isdigit() and int(version) > int(_VERSION):
            raise UsageError(
                f"the cache's index has version {int(version)}, this hapistore reads {int(_VERSION)}; upgrade it"
            )
        raise IndexDamaged(f"the cache's index has version {version!r}, expected {_VERSION!r}")
    Totals.unpack(find(transaction, TOTALS) or b"")
    for _, value in scan(transaction, ENTRY):
        Entry.unpack(value)


def find(transaction: Transaction, key: bytes) -> bytes | None:
    """A value; None where there is none."""
    return cast("bytes | None", transaction.get(key))


def scan(transaction: Transaction, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys without the prefix, and values, of all whose keys begin with it. Nothing may be changed meanwhile."""
    cursor = transaction.cursor()
    if not cursor.set_range(prefix):
        return
    # Plain bytes: no transaction of ours is made with buffers.
    for key, value in cast("Iterator[tuple[bytes, bytes]]", cursor):
        if not key.startswith(prefix):
            return
        yield key[len(prefix) :], value


def _open_environment(path: Path, size: int) -> lmdb.Environment:
    return lmdb.open(
        os.fspath(path),
        map_size=size,
        subdir=False,
        lock=False,
        sync=False,
        metasync=False,
        readahead=False,
        max_dbs=0,
    )
