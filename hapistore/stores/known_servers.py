"""Servers that are known by their headers, and what they keep; of others it is found out by trying."""

from __future__ import annotations

from .probing import is_created_once, probe_capabilities
from .protocol import Capabilities, ObjectStore
from .remote import RemoteStore
from .retrying_store import RetryingStore
from .signed_head import Head

_KEEPS_ALL = Capabilities(atomic_create=True, consistent_list=True)
_SWIFT = Capabilities(atomic_create=False, consistent_list=False)
# Beginnings of the header Server. The providers promise both in their documentation.
_PROVIDERS = ("AmazonS3", "UploadServer", "Windows-Azure-Blob")
# It keeps both where it knows conditional writes at all, which older ones do not; a race takes it seconds.
_SEAWEEDFS = "SeaweedFS"
_TIMEOUT_S = 10.0


def find_capabilities(store: ObjectStore) -> Capabilities:
    """What a bucket's server keeps.

    Raises:
        StoreError: it is not known, and cannot be tried.
    """
    if isinstance(store, RetryingStore) and isinstance(store.inner, RemoteStore):
        server = _server(store.inner.ask_head(timeout_s=_TIMEOUT_S))
        if server == "Swift":
            return _SWIFT
        if server.startswith(_PROVIDERS) or (server.startswith(_SEAWEEDFS) and is_created_once(store)):
            return _KEEPS_ALL
    return probe_capabilities(store)


def _server(head: Head | None) -> str:
    if head is None:
        return ""
    if "X-Openstack-Request-Id" in head.headers:  # behind its S3 interface too
        return "Swift"
    return head.headers.get("Server") or ""
