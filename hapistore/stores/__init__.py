"""Object stores: named immutable objects, created if absent."""

from .folder import FolderStore
from .idioms import RENEW_AFTER_S, delete_older, ensure, exists, renew
from .memory import MemoryStore
from .opening import open_store
from .protocol import Capabilities, ObjectInfo, ObjectStore

__all__ = [
    "RENEW_AFTER_S",
    "Capabilities",
    "FolderStore",
    "MemoryStore",
    "ObjectInfo",
    "ObjectStore",
    "delete_older",
    "ensure",
    "exists",
    "open_store",
    "renew",
]
