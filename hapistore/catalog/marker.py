"""The marker that makes a folder or bucket a hapistore store."""

from __future__ import annotations

from hapistore_format import FORMAT_VERSION, FormatError, read_sealed_json, write_sealed_json
from hapistore_format.sealed_json import check_format, take

from ..errors import AlreadyExists, NotFound, UsageError
from ..stores import ObjectStore
from .names import MARKER
from .reading import read_object

_KIND = "hapistore"


def ensure_marker(store: ObjectStore) -> None:
    """Mark a store on its first write, or check the mark that is there.

    Raises:
        FormatError: the store is of a later format.
    """
    try:
        store.create(MARKER, write_sealed_json({"format": FORMAT_VERSION, "kind": _KIND}))
    except AlreadyExists:
        require_store(store)


def require_store(store: ObjectStore) -> None:
    """Check that this is a hapistore store that this version reads.

    Raises:
        UsageError: it is none (yet).
        FormatError: it is of a later format, or its marker is damaged.
    """
    try:
        read_object(store, MARKER, read_marker)
    except NotFound:
        raise UsageError(
            f"there is no hapistore store at {store.url}; "
            "create one with `hapistore ingest DATASET SOURCE`, or name another with --store"
        ) from None


def read_marker(data: bytes | memoryview, *, where: str) -> None:
    """Check a marker.

    Raises:
        FormatError: it is damaged, of a later format, or of something else.
    """
    value = read_sealed_json(data, where=where)
    check_format(value, FORMAT_VERSION, where=where)
    if take(value, "kind", str, where=where) != _KIND:
        raise FormatError("bad-field", f"it marks a {value['kind']!r:.80}, expected a {_KIND}", where=where)
