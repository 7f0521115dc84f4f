"""What time it is where the objects are: ages are compared with it, never with this machine's clock."""

from __future__ import annotations

import threading
import time
import uuid

from .protocol import ObjectStore

PROBES = "hapistore-probe/"
"""Objects below it are written to find something out, and deleted again."""
_ASK_AGAIN_AFTER_S = 600.0
_lock = threading.Lock()
_known: dict[str, tuple[float, float]] = {}  # by URL: how far the store is ahead, and when (monotonic) that was asked


def read_clock(store: ObjectStore) -> float:
    """Seconds since 1970 by the store's clock, from an object that is written and deleted again.

    Raises:
        StoreError: the store cannot be reached, or written to.
    """
    name = f"{PROBES}{uuid.uuid4().hex}"
    store.create(name, b"what time is it?")
    try:
        return store.head(name).modified
    finally:
        store.delete(name)


def store_now_s(store: ObjectStore) -> float:
    """The same to within some minutes' drift of two clocks: asked once in ten minutes, for each store of a process."""
    asked = time.monotonic()
    with _lock:
        known = _known.get(store.url)
    if known is None or asked - known[1] > _ASK_AGAIN_AFTER_S:
        known = (read_clock(store) - time.time(), asked)
        with _lock:
            _known[store.url] = known
    return time.time() + known[0]
