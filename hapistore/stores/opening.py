"""From a store's URL to the store."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from ..errors import UsageError
from .folder import FolderStore
from .protocol import ObjectStore
from .remote_options import SCHEMES
from .retrying_store import RetryingStore

DEFAULT_URL = "./hapistore-data"


def open_store(url: str | os.PathLike[str] | None = None, *, sole_writer: bool = False) -> ObjectStore:
    """Open a store; nothing is read or written yet.

    Args:
        url: a folder, as a path or ``file://`` URL; or a bucket, as ``s3://bucket/prefix``, ``gs://bucket/prefix`` or
            ``az://container/prefix``, with ``?endpoint=http://host:port&region=…&addressing=path`` behind it where
            it is not the provider's own. Default: ``$HAPISTORE_STORE``, else ``./hapistore-data``.
        sole_writer: that nobody else writes to a bucket whose store cannot create atomically; without it, versions
            are not committed there.

    Raises:
        UsageError: the URL is of no kind that this version opens, or names a file.
    """
    text = os.fspath(url) if url is not None else os.environ.get("HAPISTORE_STORE") or DEFAULT_URL
    if "://" not in text:
        return FolderStore(text)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return FolderStore(unquote(parts.path))
    if parts.scheme in SCHEMES:
        from .known_servers import find_capabilities  # obstore takes a moment to load
        from .remote import RemoteStore

        return RetryingStore(RemoteStore(text), find_capabilities=find_capabilities, sole_writer=sole_writer)
    raise UsageError(
        f"store {text} has scheme {parts.scheme!r}; there are folders, as a path or file:///path, and "
        f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}"
    )
