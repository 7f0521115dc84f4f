"""This process's part in each cache that it uses: one for a folder, since LMDB forbids to open an index twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from ..units import format_bytes
from .folder import Folder
from .index import index_bytes
from .member import Member
from .records import Settings

_DEFAULT_RESERVE_BYTES = 1 << 30
_DEFAULT_POLICY = "next-use"
# Folders, marker, and the least that may be said to hold shards.
_LEAST_BESIDE_INDEX_BYTES = 256 << 10


class _Members:
    """By folder, with how many use them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.all: dict[str, tuple[Member, int]] = {}


_members = _Members()


def join(path: str, *, group: str | None, create: bool, **options: Any) -> Member:
    """The part in the cache of a folder, which ``leave`` ends.

    Args:
        options: ``capacity_bytes``, ``reserve_bytes`` and ``policy`` as in ``ShardCache``.
    """
    with _members.lock:
        member, users = _members.all.get(path, (None, 0))
        if member is None:
            folder = Folder(path, group=group, create=create)
            member = Member(folder, _settings(folder, **options))
        else:
            _settings(member.folder, **options)
        _members.all[path] = (member, users + 1)
        if options["capacity_bytes"] is not None or options["reserve_bytes"] is not None:
            settings = member.settings
            member.index.run(lambda index: member.dock.room.shrink(index, settings))
        return member


def leave(path: str) -> None:
    """One less in this process uses the cache of a folder; with the last, the process leaves it."""
    with _members.lock:
        member, users = _members.all.pop(path)
        if users > 1:
            _members.all[path] = (member, users - 1)
        else:
            member.close()


def _settings(folder: Folder, *, capacity_bytes: int | None, reserve_bytes: int | None, policy: str | None) -> Settings:
    """What was set before, changed by what is given now."""
    before = folder.read_settings()
    capacity = capacity_bytes if capacity_bytes is not None else before.get("capacity_bytes")
    if capacity is None:
        disk = os.statvfs(folder.root)
        capacity = disk.f_bavail * disk.f_frsize // 2
    least = index_bytes(capacity) + _LEAST_BESIDE_INDEX_BYTES
    if capacity < least:
        raise UsageError(f"a capacity of {format_bytes(capacity)} holds nothing; give {format_bytes(least)} or more")
    reserve = reserve_bytes if reserve_bytes is not None else before.get("reserve_bytes", _DEFAULT_RESERVE_BYTES)
    chosen: dict[str, Any] = {
        "capacity_bytes": capacity,
        "reserve_bytes": reserve,
        "policy": policy or before.get("policy", _DEFAULT_POLICY),
    }
    if chosen != {name: before.get(name) for name in chosen}:
        folder.write_settings(chosen)
    return Settings(**chosen)


def _holding_locks(take: bool) -> Callable[[], None]:
    """No thread may be at work on an index while the process forks, nor be joining a cache."""

    def run() -> None:
        if take:
            _members.lock.acquire()
        for member, _ in _members.all.values():
            (member.index.threads.acquire if take else member.index.threads.release)()
        if not take:
            _members.lock.release()

    return run


def _after_fork_in_child() -> None:
    _members.lock = threading.RLock()
    for member, _ in _members.all.values():
        member.after_fork()


os.register_at_fork(
    before=_holding_locks(True), after_in_parent=_holding_locks(False), after_in_child=_after_fork_in_child
)
