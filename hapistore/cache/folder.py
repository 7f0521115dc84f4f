"""A cache's folder: where everything lies, and who may touch it.

::

    hapistore-cache.json   says that this is a cache, its format, capacity and policy
    lock                   locked by whoever reads or changes the index
    index.mdb              what is where
    shards/<key>           shards, each with a note of what it is at its end
    arriving/<key>.<uuid>  empty files, locked by whoever is bringing a shard, for others to wait for
    arriving/….part        shards that are being written, locked too
    holders/<uuid>         empty files, locked for as long as the process lives that made them
    pinned/<key>           empty files: pins, which outlive the index
"""

from __future__ import annotations

import grp
import json
import os
import stat
import uuid
from pathlib import Path
from typing import Any

from ..errors import UsageError

FORMAT = 1
_MARKER = "hapistore-cache.json"
_FOLDERS = ("shards", "arriving", "holders", "pinned")
# A file system's own, at the top of a disk that is given to the cache whole.
_NOT_OURS = {"lost+found"}


class Folder:
    """Opens a cache's folder, which is made where there is none.

    Args:
        group: name of a group whose members share it; None: its owner's only.
        create: whether it may be made.

    Raises:
        UsageError: it belongs to somebody else, holds other things than a cache, or there is none.
    """

    def __init__(self, path: str | os.PathLike[str], *, group: str | None = None, create: bool = True) -> None:
        self.root = Path(path).absolute()
        self.marker, self.lock, self.index = (self.root / name for name in (_MARKER, "lock", "index.mdb"))
        self.shards, self.arriving, self.holders, self.pinned = (self.root / name for name in _FOLDERS)
        gid = None if group is None else _group_id(group)
        try:
            self._make_root(create=create)
            new = self._check_contents(create=create)
            shared = self._claim(gid, group)
            self._file_mode, self._folder_mode = (0o660, 0o2770) if shared else (0o600, 0o700)
            self._gid = self.root.stat().st_gid if shared else None
            if new:
                self._write_first_marker()
            for folder in (self.shards, self.arriving, self.holders, self.pinned):
                self._make_folder(folder)
        except PermissionError as error:
            raise UsageError(
                f"cache {self.root} may not be used by this user ({error.strerror}: {error.filename}); give one of "
                "your own, or one whose group you belong to"
            ) from None

    def create_file(self, path: Path) -> int:
        """A new file, whatever the umask; its descriptor, for reading and writing.

        Raises:
            FileExistsError: there is one.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._file_mode)
        self.adopt(descriptor)
        return descriptor

    def adopt(self, descriptor: int) -> None:
        """Give a file that was just made the mode and the group of the cache."""
        os.fchmod(descriptor, self._file_mode)
        if self._gid is not None:
            os.fchown(descriptor, -1, self._gid)

    def open_lock(self) -> int:
        """A descriptor of its own of the file that is locked, made where there is none."""
        try:
            return self.create_file(self.lock)
        except FileExistsError:
            return os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)

    def read_settings(self) -> dict[str, Any]:
        """What the marker says; nothing where a power cut left it damaged."""
        try:
            value = json.loads(self.marker.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Replace the marker, whole."""
        os.replace(self._write_marker(settings), self.marker)

    def _write_marker(self, settings: dict[str, Any]) -> Path:
        temporary = self.root / f".{uuid.uuid4().hex}"
        with open(self.create_file(temporary), "w") as file:
            json.dump({"format": FORMAT, **settings}, file)
        return temporary

    def mark_pinned(self, key: str, pinned: bool) -> None:
        """Keep in mind, whatever becomes of the index, whether a shard is pinned."""
        path = self.pinned / key
        if not pinned:
            path.unlink(missing_ok=True)
        elif not path.exists():
            os.close(self.create_file(path))

    def own_bytes(self) -> int:
        """What the folder takes on the disk without its shards: index, marker and the folders themselves."""
        own = (self.root, self.marker, self.index, self.shards, self.arriving, self.holders, self.pinned)
        return sum(blocks_of(path) for path in own)

    def _make_root(self, *, create: bool) -> None:
        if self.root.is_dir():
            return
        if self.root.exists():
            raise UsageError(f"cache {self.root} is a file, expected a folder (or a name for a new one)")
        if not create:
            raise UsageError(f"there is no cache {self.root}; a reader that is given it makes it, or `cache warm`")
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(mode=0o700, exist_ok=True)

    def _claim(self, gid: int | None, group: str | None) -> bool:
        """Whether the folder is a group's; its modes are put right where it is this user's."""
        status = self.root.stat()
        shared, mine = bool(status.st_mode & stat.S_ISGID), status.st_uid == os.geteuid()
        if not mine and gid is None:
            raise UsageError(
                f"cache {self.root} belongs to user {status.st_uid}, not to this one ({os.geteuid()}); share it among "
                "a group (group=…, --group), or give another"
            )
        if shared and gid not in (None, status.st_gid):
            raise UsageError(f"cache {self.root} is shared by group {status.st_gid}, not by {group} ({gid})")
        if not mine and not shared:
            raise UsageError(f"cache {self.root} is its owner's ({status.st_uid}) only; its owner shares it by group=")
        if mine and gid is not None:
            os.chown(self.root, -1, gid)
            self.root.chmod(0o2770)
        elif mine and not shared:
            self.root.chmod(0o700)
        return shared or gid is not None

    def _check_contents(self, *, create: bool) -> bool:
        """Whether it is empty still, or lacks its marker."""
        names = {path.name for path in self.root.iterdir() if not path.name.startswith(".")} - _NOT_OURS
        found = self.read_settings().get("format", FORMAT)
        if found != FORMAT:
            raise UsageError(
                f"cache {self.root} has format {found!r:.20}, this version reads {FORMAT}; give another folder"
            )
        if _MARKER in names:
            return False
        if names - {*_FOLDERS, "lock", "index.mdb", "index.new"}:
            raise UsageError(f"{self.root} holds other things than a cache ({min(names)}); give an empty folder")
        if not names and not create:
            raise UsageError(f"there is no cache in {self.root}")
        return True

    def _write_first_marker(self) -> None:
        temporary = self._write_marker({})
        try:
            os.link(temporary, self.marker)
        except FileExistsError:
            pass  # another process was faster, and may have settings in it already
        temporary.unlink()

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return
        if self._gid is not None:
            os.chown(folder, -1, self._gid)
        folder.chmod(self._folder_mode)


def blocks_of(path: Path) -> int:
    """Bytes that a file takes on the disk; 0 where there is none."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r} on this machine") from None
