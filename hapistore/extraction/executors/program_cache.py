"""Converted networks, kept for the next process: exporting and converting one takes seconds, reading it does not.

A program lies in a folder of the user's cache that appears whole or not at all; its checksums are verified before
anything is made of it. What is kept is data: archives of torch.export, which may run code when they are loaded, never
are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import xxhash

from ...models import Prefix
from ..user_cache import user_cache_folder
from .identity import identity_of
from .machine import versions

_FORMAT = 1
_MOST_BYTES = 4 << 30
"""Of all programs; the least recently used give way."""
_ABANDONED_S = 3600.0
"""A folder that has no name yet after so long is what a process left that was killed."""
_PROGRAM, _WEIGHTS, _ABOUT = "prefix.xml", "prefix.bin", "about.json"
_log = logging.getLogger(__name__)


class ProgramCache:
    """What one prefix was converted to, by what is installed.

    Args:
        converter: by what it was converted.

    Attributes:
        folder: None where there can be no cache.
    """

    def __init__(self, prefix: Prefix, converter: str) -> None:
        key = {"format": _FORMAT, "converter": converter, **identity_of(prefix), "versions": versions()}
        text = json.dumps(key, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._key = json.loads(text)
        self._all = user_cache_folder("programs")
        self.folder = self._all / digest[:32] if self._all else None

    def load(self) -> tuple[bytes, bytes] | None:
        """The program and its weights; None where there are none, or, with a line in the log, where they are
        damaged."""
        if self.folder is None or not self.folder.exists():
            return None
        try:
            about = json.loads((self.folder / _ABOUT).read_bytes())
            if about["key"] != self._key:
                raise ValueError("it is of another key")
            found = self._read(_PROGRAM, about["xxh3_128"]), self._read(_WEIGHTS, about["xxh3_128"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("%s is damaged, and is made again: %s: %s", self.folder, type(error).__name__, error)
            self._remove(self.folder)
            return None
        with contextlib.suppress(OSError):  # a cache that may only be read is one all the same
            os.utime(self.folder)
        return found

    def save(self, write: Callable[[Path], None]) -> None:
        """Keep a program. That it cannot be kept is told to the log only.

        Args:
            write: writes ``prefix.xml`` and ``prefix.bin`` into a folder.
        """
        if self.folder is None or self._all is None:
            return
        try:
            with _whole_or_not(self._all, self.folder) as folder:
                write(folder)
                sums = {name: _checksum((folder / name).read_bytes()) for name in (_PROGRAM, _WEIGHTS)}
                (folder / _ABOUT).write_text(json.dumps({"key": self._key, "xxh3_128": sums}, indent=1))
            self._make_room(self._all)
        except (OSError, RuntimeError) as error:  # OpenVINO says by RuntimeError that a disk is full
            _log.warning("%s cannot be written: %s; the next process converts again", self.folder, error)

    def _read(self, name: str, sums: Mapping[str, Any]) -> bytes:
        assert self.folder is not None
        data = (self.folder / name).read_bytes()
        if _checksum(data) != sums[name]:
            raise ValueError(f"{name} has another checksum")
        return data

    def _make_room(self, root: Path) -> None:
        """The least recently used go, and what was never finished."""
        kept, now = 0, time.time()
        for used, folder in sorted(((path.stat().st_mtime, path) for path in root.iterdir()), reverse=True):
            if folder.name.startswith("."):
                if now - used > _ABANDONED_S:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            kept += sum(file.stat().st_size for file in folder.iterdir())
            if kept > _MOST_BYTES and folder != self.folder:
                self._remove(folder)

    @staticmethod
    def _remove(folder: Path) -> None:
        """At once for whoever looks; who reads its files has them open, or finds that it is gone."""
        gone = folder.with_name(f".{uuid.uuid4().hex}")
        with contextlib.suppress(OSError):  # another process was there first, or it may only be read
            folder.rename(gone)
            shutil.rmtree(gone)


@contextlib.contextmanager
def _whole_or_not(root: Path, folder: Path) -> Iterator[Path]:
    """A folder to be filled, which has its name once all is on the disk; unless another process was there first."""
    temporary = root / f".{uuid.uuid4().hex}"
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
        for path in (*temporary.iterdir(), temporary):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        with contextlib.suppress(FileExistsError):
            if not folder.exists():  # a folder may be renamed over an empty one
                temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checksum(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)
