"""What a process leases, counted in memory: only the first lease of a shard and its last release touch the index."""

from __future__ import annotations

import mmap
import threading
import weakref
from dataclasses import dataclass, field

from hapistore_format import FeatureShardReader

from .arriving import Fetch
from .names import ShardName, key_of
from .records import Entry


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A shard that somebody asks for.

    Attributes:
        fetch: gets its bytes from its store.
        decoded: whether it is kept decoded if it comes now; may_evict: whether others may have to go for it.
        counted: whether it counts as a use.
    """

    shard: ShardName
    fetch: Fetch
    decoded: bool = False
    may_evict: bool = True
    counted: bool = True


@dataclass(kw_only=True)
class Held:
    """A shard that this process leases.

    Attributes:
        entry: None where it is handed out from memory.
        leased: whether the index knows of it.
        count: leases of it in this process; hits: how many of them found it here.
        steady: whether it may be shared: not before it is here, and not while it is given back.
        map: of its file, which may outlive the lease in arrays that somebody kept.
        opening: held by the thread that maps and checks the file.
    """

    wanted: Wanted
    key: bytes
    entry: Entry | None = None
    leased: bool = False
    reader: FeatureShardReader | None = None
    count: int = 1
    hits: int = 0
    steady: bool = False
    map: weakref.ref[mmap.mmap] | None = None
    opening: threading.Lock = field(default_factory=threading.Lock)


_NOTHING = Wanted(shard=ShardName("", ""), fetch=bytes)


class HeldShards:
    """All that a process leases of one cache. Threads that want what another one is fetching wait for it."""

    def __init__(self) -> None:
        self._held: dict[bytes, Held] = {}
        # Nobody leases them any more, and somebody still has arrays of them: their files are in use.
        self._lingering: dict[bytes, list[weakref.ref[mmap.mmap]]] = {}
        self._changed = threading.Condition()

    def in_use(self) -> set[bytes]:
        """Of all shards whose files may be in use."""
        with self._changed:
            return {*self._held, *self._lingering}

    def join(self, wanted: Wanted) -> Held:
        """What is here already, steady; or a place for what the caller is to bring, and then to ``settle``."""
        key = key_of(wanted.shard)
        with self._changed:
            while (held := self._held.get(key)) is not None:
                if held.steady:
                    held.count += 1
                    held.hits += 1
                    return held
                self._changed.wait()
            held = self._held[key] = Held(wanted=wanted, key=key)
            return held

    def settle(self, held: Held, *, steady: bool) -> None:
        """It is here now, or gone; those who wait go on."""
        with self._changed:
            held.steady = steady
            if not steady:
                del self._held[held.key]
            self._changed.notify_all()

    def leave(self, held: Held) -> bool:
        """End one lease; whether it was the last, after which it is to be given back, and then settled."""
        with self._changed:
            if self._held.get(held.key) is not held:
                return False  # a parent's, which its child cannot give back
            held.count -= 1
            if held.count:
                return False
            held.steady, held.reader = False, None
            maps = [*self._lingering.pop(held.key, ()), *([held.map] if held.map else [])]
            if alive := [one for one in maps if one() is not None]:
                self._lingering[held.key] = alive
            return True

    def lingers(self, key: bytes) -> bool:
        """Whether somebody still has arrays of a shard that was given back."""
        return key in self._lingering

    def no_longer_lingering(self) -> list[Held]:
        """Shards whose last array is gone: to be given back, and then settled."""
        if not self._lingering:
            return []
        with self._changed:
            dead = [
                key
                for key, maps in self._lingering.items()
                if key not in self._held and all(one() is None for one in maps)
            ]
            for key in dead:
                del self._lingering[key]
                self._held[key] = Held(wanted=_NOTHING, key=key, leased=True, count=0)
            return [self._held[key] for key in dead]
