"""Object stores: named immutable objects, created if absent."""

from .folder import FolderStore
from .idioms import ensure, exists
from .memory import MemoryStore
from .opening import open_store
from .protocol import Capabilities, ObjectInfo, ObjectStore

__all__ = [
    "Capabilities",
    "FolderStore",
    "MemoryStore",
    "ObjectInfo",
    "ObjectStore",
    "ensure",
    "exists",
    "open_store",
]
