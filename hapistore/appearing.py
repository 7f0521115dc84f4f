"""Files for people: they appear under their name once they are whole, or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError


def check_free(path: Path, *, replace: bool = False) -> None:
    """Refuse a path that cannot be written, before the work is done.

    Raises:
        UsageError: a file is there already and is not to be replaced, or there is no folder to write to.
    """
    if path.exists() and (not replace or not path.is_file()):
        raise UsageError(f"{path} is there already; remove it, or choose another name")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write to")


@contextmanager
def appearing(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its name, whole and once, when all went well.

    Raises:
        UsageError: a file of that name appeared meanwhile, and is not to be replaced.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
            return
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise UsageError(f"{path} appeared meanwhile; it is left as it is") from None
    finally:
        temporary.unlink(missing_ok=True)
