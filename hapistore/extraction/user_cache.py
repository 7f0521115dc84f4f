"""Folders and files of the user's own for what this machine found out and may find out again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..appearing import appearing

_LARGEST_BYTES = 64 << 10
_log = logging.getLogger(__name__)


def user_cache_folder(name: str) -> Path | None:
    """``$XDG_CACHE_HOME/hapistore/<name>`` (default ``~/.cache``), made where it is not there, its owner's only.

    Returns:
        None, with a line in the log, where there can be no such folder, or others could write in it.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # An XDG path that is not absolute is to be ignored, says its specification.
    root = (Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()) / "hapistore"
    try:
        for folder in (root, root / name):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.stat(follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                _log.warning("%s is not used as a cache: it is no folder of this user", folder)
                return None
            if found.st_mode & 0o077:
                folder.chmod(0o700)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        _log.warning("%s is not used as a cache: %s", root, error)
        return None
    return root / name


class CacheFile:
    """One small JSON file of a cache, found by what it is about.

    A file that is damaged, cut short, not to be read or made by somebody hostile is one that is not there.

    Args:
        folder: for ``user_cache_folder``; key: plain data, all that what is kept depends on.

    Attributes:
        path: None where there can be no cache.
    """

    def __init__(self, folder: str, key: Mapping[str, Any]) -> None:
        text = json.dumps(key, sort_keys=True)
        self._key = json.loads(text)  # lists in place of tuples, as it is read again
        digest = hashlib.sha256(text.encode()).hexdigest()
        found = user_cache_folder(folder)
        self.path = found / f"{digest[:32]}.json" if found else None

    def read(self) -> Any:
        """What was kept; None where nothing was.

        Raises:
            OSError, ValueError, KeyError, TypeError, RecursionError: the file is damaged, or of another key.
        """
        if self.path is None or not self.path.exists():
            return None
        with open(self.path, "rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
        if len(data) > _LARGEST_BYTES:
            raise ValueError(f"it is larger than {_LARGEST_BYTES} bytes")
        value = json.loads(data)
        if value["key"] != self._key:
            raise ValueError("it is of another key")
        return value["value"]

    def write(self, value: Any) -> None:
        """Keep it, whole or not at all. That it cannot be written is told to the log only."""
        if self.path is None:
            return
        try:
            with appearing(self.path, replace=True) as temporary:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "w") as file:
                    json.dump({"key": self._key, "value": value}, file, indent=1)
        except OSError as error:
            _log.warning("%s cannot be written: %s; the next extraction measures again", self.path, error)
