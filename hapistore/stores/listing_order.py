"""Which servers list names in order. Others list folder by folder, where ``a/x`` comes before ``a-b``, or in none.

Names that come in order can be handed on page by page; others must all be there before the first can be.
"""

from __future__ import annotations

from typing import Protocol

from .remote_options import RemoteUrl
from .signed_head import Head

# Beginnings of the header Server. Swift, which says so in another header, sorts too.
_SORTING = ("AmazonS3", "MinIO")
_UNSORTED_BUCKETS = "--x-s3"  # directory buckets of S3 list in no order
_TIMEOUT_S = 10.0


class AskHead(Protocol):
    """Asks a server for its headers."""

    def __call__(self, *, timeout_s: float) -> Head | None: ...


def lists_in_order(url: RemoteUrl, ask_head: AskHead) -> bool:
    """Whether it is known that this server's listings are in order of name, compared as text."""
    if url.scheme != "s3":
        return url.scheme == "gs"
    head = ask_head(timeout_s=_TIMEOUT_S)
    if head is None or url.bucket.endswith(_UNSORTED_BUCKETS):
        return False
    return "X-Openstack-Request-Id" in head.headers or (head.headers.get("Server") or "").startswith(_SORTING)
