"""Which kind of source a path is."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import UsageError
from .class_folders import ClassFolders
from .manifest import Manifest
from .protocol import Source

_MANIFESTS = (".csv", ".jsonl", ".ndjson")


def open_source(
    path: str | os.PathLike[str],
    *,
    path_column: str | None = None,
    label_column: str | None = None,
    subset_column: str | None = None,
) -> Source:
    """A folder as class folders, a ``.csv``, ``.jsonl`` or ``.ndjson`` file as a manifest.

    Raises:
        UsageError: it is neither.
    """
    path = Path(path)
    if path.suffix.lower() in _MANIFESTS and not path.is_dir():
        return Manifest(path, path_column=path_column or "path", label_column=label_column, subset_column=subset_column)
    if path.is_file():
        raise UsageError(f"source {path} is a file, expected a folder of class folders or a .csv or .jsonl manifest")
    if path_column or label_column or subset_column:
        raise UsageError(f"source {path} is a folder; columns can be named for manifests only")
    return ClassFolders(path)
