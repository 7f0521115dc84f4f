"""The marker that makes a folder or bucket a hapistore store."""

from __future__ import annotations

from hapistore_format import FORMAT_VERSION, read_sealed_json, write_sealed_json
from hapistore_format.sealed_json import check_format

from ..errors import AlreadyExists, NotFound, UsageError
from ..stores import ObjectStore
from .names import MARKER


def ensure_marker(store: ObjectStore) -> None:
    """Mark a store on its first write, or check the mark that is there.

    Raises:
        FormatError: the store is of a later format.
    """
    try:
        store.create(MARKER, write_sealed_json({"format": FORMAT_VERSION, "kind": "hapistore"}))
    except AlreadyExists:
        require_store(store)


def require_store(store: ObjectStore) -> None:
    """Check that this is a hapistore store that this version reads.

    Raises:
        UsageError: it is none (yet).
        FormatError: it is of a later format, or its marker is damaged.
    """
    try:
        data = store.get(MARKER)
    except NotFound:
        raise UsageError(
            f"there is no hapistore store at {store.url}; "
            "create one with `hapistore ingest DATASET SOURCE`, or name another with --store"
        ) from None
    check_format(read_sealed_json(data, where=MARKER), FORMAT_VERSION, where=MARKER)
