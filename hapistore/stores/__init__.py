"""Object stores: named immutable objects, created if absent."""

from .folder import FolderStore
from .idioms import RENEW_AFTER_S, delete_older, ensure, exists, renew
from .link_speed import LinkSpeed, measure_link
from .memory import MemoryStore
from .opening import open_store
from .protocol import Capabilities, ObjectInfo, ObjectStore

__all__ = [
    "RENEW_AFTER_S",
    "Capabilities",
    "FolderStore",
    "LinkSpeed",
    "MemoryStore",
    "ObjectInfo",
    "ObjectStore",
    "delete_older",
    "ensure",
    "exists",
    "measure_link",
    "open_store",
    "renew",
]
