"""Processes that hold something of the cache, and how it is known that one has ended.

A holder is an open file that is locked for as long as its process lives. However the process ends, the kernel drops the
lock; whoever gets it then knows that the holder is dead. Process numbers would not do: containers have their own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import socket
import sys
import time
import uuid
from pathlib import Path

from .descriptors import close_kept, keep_from_children
from .folder import Folder
from .index import Transaction, scan
from .records import HOLDER, HolderInfo


class Holder:
    """This process as a holder: its file is made, locked and written down in one turn with the index."""

    def __init__(self, folder: Folder, transaction: Transaction) -> None:
        self.id = uuid.uuid4().bytes
        self._path = holder_path(folder, self.id)
        self._descriptor = keep_from_children(folder.create_file(self._path))
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self.register(transaction)

    def register(self, transaction: Transaction) -> None:
        """Write it down, in an index that does not know it."""
        transaction.put(HOLDER + self.id, _describe_process().pack())

    def close(self, transaction: Transaction) -> None:
        """Leave, holding nothing any more."""
        transaction.delete(HOLDER + self.id)
        self._path.unlink(missing_ok=True)
        close_kept(self._descriptor)


def holder_path(folder: Folder, holder: bytes) -> Path:
    return folder.holders / holder.hex()


def is_locked(path: Path) -> bool:
    """Whether a process that lives has a file locked; not where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return True
    finally:
        os.close(descriptor)
    return False


def wait_until_unlocked(path: Path) -> None:
    """Return when nobody has it locked, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def known_holders(transaction: Transaction) -> dict[bytes, HolderInfo]:
    """All that the index knows, dead or alive."""
    return {bytes(holder): HolderInfo.unpack(value) for holder, value in scan(transaction, HOLDER)}


def _describe_process() -> HolderInfo:
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # as in containers
        user = str(uid)
    return HolderInfo(socket.gethostname(), os.getpid(), user, " ".join(sys.argv)[:200], time.time())
