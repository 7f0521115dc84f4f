"""What callers ask of a store again and again, over the protocol alone."""

from __future__ import annotations

from ..errors import AlreadyExists, NotFound
from .clock import store_now_s
from .protocol import LocalObjects, ObjectInfo, ObjectStore

RENEW_AFTER_S = 3600.0
"""Whoever is about to name an object that is older writes it again: nothing may name it, and ``gc`` may be about to
remove it. ``gc`` leaves objects alone that are younger than twice this."""


def exists(store: ObjectStore, name: str) -> bool:
    """Whether there is an object of that name."""
    try:
        store.head(name)
        return True
    except NotFound:
        return False


def ensure(store: ObjectStore, name: str, data: bytes | memoryview) -> bool:
    """Create an object whose name says what it holds, or leave the one that is there; whether it was created.

    One that is older than ``RENEW_AFTER_S`` is written again, see there.
    """
    while True:
        try:
            store.create(name, data)
            return True
        except AlreadyExists:
            pass
        try:
            if is_old(store, store.head(name)):
                store.put(name, data)
            return False
        except NotFound:
            continue  # gc removed it this moment


def renew(store: ObjectStore, name: str) -> None:
    """Let an object that is older than ``RENEW_AFTER_S`` count as new: in a bucket, by writing its bytes again.

    Raises:
        NotFound: there is none.
    """
    if is_old(store, store.head(name)):
        if isinstance(store, LocalObjects):
            store.touch(name)
        else:
            store.put(name, store.get(name))


def is_old(store: ObjectStore, info: ObjectInfo) -> bool:
    """Whether an object is older than ``RENEW_AFTER_S`` by the store's clock."""
    return store_now_s(store) - info.modified > RENEW_AFTER_S


def delete_older(store: ObjectStore, name: str, before_s: float) -> bool:
    """Remove an object if it was last written before a time by the store's clock; whether it was.

    In a bucket, somebody may write it again between the look and the removal.

    Raises:
        NotFound: there is none.
    """
    if isinstance(store, LocalObjects):
        return store.delete_older(name, before_s)
    if store.head(name).modified >= before_s:
        return False
    store.delete(name)
    return True
