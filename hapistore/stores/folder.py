"""A folder as an object store, crash-safe: temporary file, fsync, link, fsync folder.

``link`` fails where the name is taken, so it creates atomically; ``rename`` would overwrite. Every
folder made on the way is synced into its parent. What a crash leaves lies in ``.tmp`` and is no object.
"""

from __future__ import annotations

import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import AlreadyExists, NotFound, StoreError, UsageError
from .protocol import Capabilities, ObjectInfo, check_name

_TEMPORARY = ".tmp"
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
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"store {self.root} is a file, expected a folder (or a name for a new one)")

    def __repr__(self) -> str:
        return f"FolderStore({self.url!r})"

    def get(self, name: str) -> memoryview:
        with _named(name), open(self._path(name), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _MAP_FROM_BYTES:
                return memoryview(file.read())
            # The map outlives the file handle, and stays whole if the name is unlinked meanwhile.
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        with _named(name), open(self._path(name), "rb") as file:
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
            return ObjectInfo(name=name, bytes=path.stat().st_size)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        # Only the folder that the prefix names needs a walk.
        top = self.root / prefix.rpartition("/")[0]
        for folder, subfolders, files in os.walk(top):
            subfolders[:] = sorted(f for f in subfolders if not f.startswith("."))
            for file in sorted(files):
                path = Path(folder, file)
                name = path.relative_to(self.root).as_posix()
                if name.startswith(prefix) and not file.startswith("."):
                    yield ObjectInfo(name=name, bytes=path.stat().st_size)

    def put(self, name: str, data: bytes | memoryview) -> None:
        with _named(name), self._temporary(data) as temporary:
            path = self._path(name)
            self._make_folders(path.parent)
            os.replace(temporary, path)
            _sync_folder(path.parent)

    def create(self, name: str, data: bytes | memoryview) -> None:
        path = self._path(name)
        if path.exists():  # spares the write; the link below decides
            raise AlreadyExists(f"{name} exists already")
        with _named(name), self._temporary(data) as temporary:
            self._make_folders(path.parent)
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise AlreadyExists(f"{name} exists already") from None
            _sync_folder(path.parent)

    def delete(self, name: str) -> None:
        with _named(name):
            path = self._path(name)
            path.unlink()
            _sync_folder(path.parent)

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    @contextmanager
    def _temporary(self, data: bytes | memoryview) -> Iterator[Path]:
        """A synced file with these bytes, gone afterwards."""
        folder = self.root / _TEMPORARY
        self._make_folders(folder)
        path = folder / uuid.uuid4().hex
        try:
            with open(path, "xb", buffering=0) as file:
                view = memoryview(data).cast("B")
                while view:  # one call writes 2 GiB at most
                    view = view[file.write(view[: 1 << 30]) :]
                os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _make_folders(self, folder: Path) -> None:
        """Make a folder and its parents, each synced into its own parent."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            _sync_folder(path.parent)


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
