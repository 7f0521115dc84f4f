"""Finding out what a store keeps, by trying: some ignore conditional writes, or let several creators win."""

from __future__ import annotations

import threading
import uuid

from ..errors import AlreadyExists
from .protocol import Capabilities, ObjectStore

_FOLDER = "hapistore-probe"
_ROUNDS, _CREATORS = 4, 8


def probe_capabilities(store: ObjectStore) -> Capabilities:
    """Race creators for a few small objects, and list them; they are deleted again.

    A store that fails is found out; one that passes has only passed. Takes some fifty small requests.

    Raises:
        StoreError: it cannot be reached, or written to.
    """
    run = uuid.uuid4().hex
    names = [f"{_FOLDER}/{run}-{number}" for number in range(_ROUNDS)]
    winners = [_race(store, name) for name in names]
    listed = {info.name for info in store.list(f"{_FOLDER}/")}
    for name in names:  # not where the store fails: every further request would take as long
        store.delete(name)
    return Capabilities(atomic_create=max(winners) == 1, consistent_list=set(names) <= listed)


def _race(store: ObjectStore, name: str) -> int:
    """How many of several creators of one object were told that they made it."""
    barrier = threading.Barrier(_CREATORS)
    winners: list[int] = []
    errors: list[Exception] = []

    def create(number: int) -> None:
        barrier.wait()
        try:
            store.create(name, bytes([number]) * 64)
            winners.append(number)
        except AlreadyExists:
            pass  # as all but one should
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(_CREATORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return len(winners)
