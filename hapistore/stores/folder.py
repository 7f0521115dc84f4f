"""A folder as an object store, crash-safe: temporary file, fsync, link, fsync folder.

``link`` fails where the name is taken, so it creates atomically; ``rename`` would overwrite. Every
folder made on the way is synced into its parent. What a crash leaves lies in ``.tmp`` and is no object.

A lock keeps ``delete_older`` apart from ``put`` and ``touch``: nothing is removed that became young a moment before.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import AlreadyExists, NotFound, StoreError, UsageError
from .protocol import Capabilities, ObjectInfo, check_name
from .writing import write_synced

_TEMPORARY, _LOCK = ".tmp", ".lock"
# Below this a read costs less than a map and its page faults.
_MAP_FROM_BYTES = 1 << 20


class FolderStore:
    """Objects are files below ``root``; the folder is made by the first write.

    Args:
        root: the folder. Its parents are made where they are missing.

    Raises:
        UsageError: ``root`` is a file.
    """

    capabilities = Capabilities(atomic_create=True, consistent_list=True)

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self.url = str(self.root)
        self._synced: set[Path] = set()
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"store {self.root} is a file, expected a folder (or a name for a new one)")

    def __repr__(self) -> str:
        return f"FolderStore({self.url!r})"

    def get(self, name: str) -> memoryview:
        with _named(name), self._open(name) as file:
            size = os.fstat(file.fileno()).st_size
            if size < _MAP_FROM_BYTES:
                return memoryview(file.read())
            # The map outlives the file handle, and stays whole if the name is unlinked meanwhile.
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        with _named(name), self._open(name) as file:
            parts = [os.pread(file.fileno(), stop - start, start) for start, stop in ranges]
        for part, (start, stop) in zip(parts, ranges, strict=True):
            if len(part) != stop - start:
                raise StoreError(f"{name}: bytes {start} to {stop} lie beyond its end")
        return [memoryview(part) for part in parts]

    def head(self, name: str) -> ObjectInfo:
        with _named(name):
            path = self._path(name)
            if not path.is_file():
                raise FileNotFoundError
            status = path.stat()
            return ObjectInfo(name=name, bytes=status.st_size, modified=status.st_mtime)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        # Only the folder that the prefix names needs a walk.
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_name(folder)
        for name, entry in self._walk(folder + slash, after):
            if name.startswith(prefix) and name > after:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # deleted since the walk began
                yield ObjectInfo(name=name, bytes=status.st_size, modified=status.st_mtime)

    def local_path(self, name: str) -> Path | None:
        with _named(name):
            path = self._path(name)
            if not path.is_file():
                raise FileNotFoundError
            return path

    def put(self, name: str, data: bytes | memoryview) -> None:
        with _named(name), self._temporary(data) as temporary:
            path = self._path(name)
            self._make_folders(path.parent)
            with self._locked(fcntl.LOCK_SH):
                os.replace(temporary, path)
            _sync_folder(path.parent)

    def create(self, name: str, data: bytes | memoryview) -> None:
        with _named(name):
            path = self._path(name)
            if path.exists():  # spares the write; the link below decides
                raise AlreadyExists(f"{name} exists already")
        with _named(name), self._temporary(data) as temporary:
            self._make_folders(path.parent)
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise AlreadyExists(f"{name} exists already") from None
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise StoreError(
                        f"{name}: the file system of {self.root} has no hard links, by which objects are created "
                        "whole and once; keep the store on one that has"
                    ) from error
                raise
            _sync_folder(path.parent)

    def delete(self, name: str) -> None:
        with _named(name):
            path = self._path(name)
            if not path.is_file():
                raise FileNotFoundError
            path.unlink()
            _sync_folder(path.parent)

    def delete_older(self, name: str, before_s: float) -> bool:
        with _named(name):
            path = self._path(name)
            with self._locked(fcntl.LOCK_EX):
                if not path.is_file():
                    raise FileNotFoundError
                if path.stat().st_mtime >= before_s:
                    return False
                path.unlink()
            _sync_folder(path.parent)
        return True

    def touch(self, name: str) -> None:
        with _named(name), self._locked(fcntl.LOCK_SH):
            os.utime(self._path(name))

    def clean_temporary(self, before_s: float, *, dry_run: bool = False) -> int:
        folder, found = self.root / _TEMPORARY, 0
        if not folder.is_dir():
            return 0
        for path in folder.iterdir():
            try:
                if path.stat().st_mtime >= before_s:
                    continue
                if not dry_run:
                    path.unlink()
            except FileNotFoundError:
                continue  # its writer has just finished
            found += 1
        return found

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold the lock, shared or alone; it goes with the process. File systems without locks do without."""
        with open(self.root / _LOCK, "ab") as file:
            try:
                fcntl.flock(file, how)
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
            yield

    def _walk(self, folder: str, after: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Names and files below ``folder`` (empty, or ending in a slash), in order; folders before ``after`` not."""
        with _named(folder or "the store's root"):
            try:
                entries = list(os.scandir(self.root / folder))
            except (FileNotFoundError, NotADirectoryError):
                return  # no folder, no objects
        for entry in sorted(entries, key=_name_in_order):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                inside = f"{folder}{entry.name}/"
                if inside >= after[: len(inside)]:
                    yield from self._walk(inside, after)
            elif entry.is_file():
                yield folder + entry.name, entry

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    def _open(self, name: str) -> BinaryIO:
        try:
            return open(self._path(name), "rb")
        except (IsADirectoryError, NotADirectoryError):  # other objects' names begin with this one, or the reverse
            raise FileNotFoundError from None

    @contextmanager
    def _temporary(self, data: bytes | memoryview) -> Iterator[Path]:
        """A synced file with these bytes, gone afterwards."""
        folder = self.root / _TEMPORARY
        self._make_folders(folder)
        path = folder / uuid.uuid4().hex
        try:
            write_synced(path, data)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _make_folders(self, folder: Path) -> None:
        """Make a folder and its parents, each synced into its own parent.

        One that is there may have been made this moment by another process that has not synced it yet, so
        every folder below the root is synced on its first use.
        """
        if folder in self._synced:
            return
        if self.root in folder.parents or not folder.is_dir():
            self._make_folders(folder.parent)
            os.makedirs(folder, exist_ok=True)
            _sync_folder(folder.parent)
        self._synced.add(folder)


def _name_in_order(entry: os.DirEntry[str]) -> str:
    """What an entry's objects begin with: ``a-b`` comes before ``a/x``."""
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Operating-system errors with the object's name."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"there is no object {name}") from None
    except OSError as error:
        raise StoreError(f"{name}: {error.strerror or error} ({error.filename})") from error
