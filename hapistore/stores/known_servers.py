"""Servers that are known by their headers, and what they keep; of others it is found out by trying."""

from __future__ import annotations

from typing import Any

from .probing import probe_capabilities
from .protocol import Capabilities, ObjectStore
from .remote import RemoteStore
from .retrying_store import RetryingStore
from .signed_head import Head

_KEEPS_ALL = Capabilities(atomic_create=True, consistent_list=True)
_SWIFT = Capabilities(atomic_create=False, consistent_list=False)
# Beginnings of the header Server. SeaweedFS: raced by eight processes in our tests; the others by their documentation.
_SERVERS = ("AmazonS3", "UploadServer", "Windows-Azure-Blob", "Azurite-Blob", "SeaweedFS", "MinIO")
_TIMEOUT_S = 10.0


def find_capabilities(store: ObjectStore) -> Capabilities:
    """What a bucket's server keeps.

    Raises:
        StoreError: it is not known, and cannot be tried.
    """
    if isinstance(store, RetryingStore) and isinstance(store.inner, RemoteStore):
        known = _known(store.inner.ask_head(timeout_s=_TIMEOUT_S))
        if known is not None:
            return known
    return probe_capabilities(store)


def _known(head: Head | None) -> Capabilities | None:
    if head is None:
        return None
    headers: Any = head.headers
    if "X-Openstack-Request-Id" in headers:  # Swift, behind its S3 interface too
        return _SWIFT
    return _KEEPS_ALL if (headers.get("Server") or "").startswith(_SERVERS) else None
