"""Finding out what a store keeps, by trying: some ignore conditional writes, or let several creators win."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from ..errors import AlreadyExists
from .clock import PROBES
from .protocol import Capabilities, ObjectStore

_RACES, _CREATORS = 8, 8


def probe_capabilities(store: ObjectStore) -> Capabilities:
    """Race creators for a few small objects, all at once, and list them; they are deleted again.

    A store that fails is found out; one that passes has only passed. Takes some hundred small requests.

    Raises:
        StoreError: it cannot be reached, or written to.
    """
    run = uuid.uuid4().hex
    names = [f"{PROBES}{run}-{number}" for number in range(_RACES)]
    winners = _race(store, names)
    listed = {info.name for info in store.list(PROBES)}
    for name in names:  # not where the store fails: every further request would take as long
        store.delete(name)
    return Capabilities(atomic_create=max(winners.values()) == 1, consistent_list=set(names) <= listed)


def is_created_once(store: ObjectStore) -> bool:
    """Whether a second creation of an object is refused; says nothing of creators at the same time."""
    name = f"{PROBES}{uuid.uuid4().hex}"
    store.create(name, b"first")
    try:
        store.create(name, b"second")
        return False
    except AlreadyExists:
        return True
    finally:
        store.delete(name)


def _race(store: ObjectStore, names: list[str]) -> Counter[str]:
    """How many of several creators of each object were told that they made it."""
    barriers = {name: threading.Barrier(_CREATORS) for name in names}

    def create(name: str, number: int) -> list[str]:
        barriers[name].wait()
        try:
            store.create(name, bytes([number]) * 64)
        except AlreadyExists:
            return []
        return [name]

    with ThreadPoolExecutor(_CREATORS * len(names), thread_name_prefix="hapistore-probe") as pool:
        races = [pool.submit(create, name, number) for name in names for number in range(_CREATORS)]
        return Counter(name for race in races for name in race.result())
