"""What control groups leave a process of memory: its own group's limit and those of all groups around it.

Version 1 and version 2, wherever they are mounted, both at once if need be. In a container the paths of
``/proc/self/cgroup`` may reach outside of what is mounted; what can't be seen is not counted, and what is mounted
at the top is the container's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_PROC = Path("/proc/self")
# Above this, version 1 means that there is no limit: it says so by the largest whole number of pages.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class _Version:
    """Names of a version's files, and of the page cache that can be dropped in ``memory.stat``."""

    limits: tuple[str, ...]
    usage: str
    reclaimable: str


_V1 = _Version(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file")
# Beyond memory.high a group is slowed down until it gives memory back: no place to plan for.
_V2 = _Version(("memory.max", "memory.high"), "memory.current", "inactive_file")


def free_bytes(proc: Path = _PROC) -> int | None:
    """The least that any group around this process has left, page cache that can be dropped counted as free.

    Args:
        proc: the process's folder below ``/proc``.

    Returns:
        bytes, at least 0; None where no group has a limit.
    """
    free = [left for version, folder in _groups(proc) for left in _left(version, folder)]
    return min(free, default=None)


def groups(proc: Path = _PROC, controller: str = "memory") -> Iterator[tuple[int, Path]]:
    """Version (1 or 2) and folder of each control group that may limit a process, inside out.

    Args:
        proc: the process's folder below ``/proc``. controller: what is limited, such as ``memory`` or ``cpu``.
    """
    for version, folder in _groups(proc, controller):
        yield 1 if version is _V1 else 2, folder


def _groups(proc: Path, controller: str = "memory") -> Iterator[tuple[_Version, Path]]:
    """Folders of the groups that hold the process, the innermost first."""
    mounts = list(_mounts(proc, controller))
    for line in _lines(proc / "cgroup"):
        _, controllers, path = line.split(":", 2)
        for version, root, mounted_at in mounts:
            if version is (_V1 if controllers else _V2) and (not controllers or controller in controllers.split(",")):
                for part in _inside(PurePosixPath(path), root):
                    yield version, mounted_at / part


def _mounts(proc: Path, controller: str) -> Iterator[tuple[_Version, PurePosixPath, Path]]:
    """Version, the group that is mounted, and where, of each hierarchy with a controller."""
    for line in _lines(proc / "mountinfo"):
        before, _, after = line.partition(" - ")
        kind, _, options = [*after.split(), "", "", ""][:3]
        root, mounted_at = (_unescaped(field) for field in before.split()[3:5])
        if kind == "cgroup2":
            yield _V2, PurePosixPath(root), Path(mounted_at)
        elif kind == "cgroup" and controller in options.split(","):
            yield _V1, PurePosixPath(root), Path(mounted_at)


def _inside(path: PurePosixPath, root: PurePosixPath) -> list[PurePosixPath]:
    """A group and all around it, relative to the group that is mounted; only that where it is not below it."""
    try:
        below = path.relative_to(root)
    except ValueError:
        return [PurePosixPath(".")]
    return [below, *below.parents] if ".." not in below.parts else [PurePosixPath(".")]


def _left(version: _Version, folder: Path) -> Iterator[int]:
    limits = [_number(folder / name) for name in version.limits]
    usage = _number(folder / version.usage)
    known = [limit for limit in limits if limit is not None and limit < _NO_LIMIT]
    if known and usage is not None:
        yield max(0, min(known) - usage + _reclaimable(folder / "memory.stat", version.reclaimable))


def _reclaimable(stat: Path, key: str) -> int:
    for line in _lines(stat):
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = "".join(_lines(path))
    return int(text) if text.isdigit() else None  # absent, or the word "max"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []  # not Linux, no such controller, or not to be seen from here: nothing is known of a limit


def _unescaped(field: str) -> str:
    """A path of mountinfo, which writes blanks and backslashes in octal."""
    for escaped, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escaped, character)
    return field
