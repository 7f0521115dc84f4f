"""What callers ask of a store again and again, over the protocol alone."""

from __future__ import annotations

from ..errors import AlreadyExists, NotFound
from .protocol import ObjectStore


def exists(store: ObjectStore, name: str) -> bool:
    """Whether there is an object of that name."""
    try:
        store.head(name)
        return True
    except NotFound:
        return False


def ensure(store: ObjectStore, name: str, data: bytes | memoryview) -> bool:
    """Create an object whose name says what it holds, or leave the one that is there; whether it was created."""
    try:
        store.create(name, data)
        return True
    except AlreadyExists:
        return False
