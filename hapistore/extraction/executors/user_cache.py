"""A folder of the user's own for what this machine found out and may find out again."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

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
