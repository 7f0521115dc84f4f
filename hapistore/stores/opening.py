"""From a store's URL to the store."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from ..errors import UsageError
from .folder import FolderStore
from .protocol import ObjectStore

DEFAULT_URL = "./hapistore-data"


def open_store(url: str | os.PathLike[str] | None = None) -> ObjectStore:
    """Open a store; nothing is read or written yet.

    Args:
        url: a folder, as a path or ``file://`` URL. Default: ``$HAPISTORE_STORE``, else ``./hapistore-data``.

    Raises:
        UsageError: the URL is of no kind that this version opens, or names a file.
    """
    text = os.fspath(url) if url is not None else os.environ.get("HAPISTORE_STORE") or DEFAULT_URL
    if "://" not in text:
        return FolderStore(text)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return FolderStore(unquote(parts.path))
    raise UsageError(f"store {text} has scheme {parts.scheme!r}; this version opens folders, as a path or file:///path")
