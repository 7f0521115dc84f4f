"""Leases as readers have them."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from hapistore_format import FeatureShardReader

from .futures import add_future, most_uses, remove_future, set_position
from .held import Held
from .index import Full, Index
from .member import Member
from .names import ShardName, key_of


class Lease:
    """A shard that stays where it is until the lease is closed, or the process ends. A context manager.

    Attributes:
        cached: whether it is in the cache; else it is held in memory, since there was no room for it.
    """

    def __init__(self, member: Member, held: Held) -> None:
        self._member: Member | None = member
        self._held = held

    @property
    def cached(self) -> bool:
        return self._held.entry is not None

    @property
    def reader(self) -> FeatureShardReader:
        """The shard, mapped and checked on first use. Let go of its arrays before closing the lease: until the last is
        gone, the shard cannot be evicted.

        Raises:
            FormatError: it is damaged here, and comes damaged from its store.
            ValueError: the lease is closed.
        """
        if self._member is None:
            raise ValueError("the lease is closed")
        return self._held.reader or self._member.open(self._held)

    def close(self) -> None:
        """Give it back; more than once does no harm."""
        member, self._member = self._member, None
        if member is not None:
            member.give_back(self._held)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Future:
    """An order of use that the cache knows, for as long as this is open and its process lives. A context manager."""

    def __init__(self, member: Member, order: Sequence[ShardName]) -> None:
        self._member, self._id = member, None
        keys = [key_of(shard) for shard in order]

        def add(index: Index) -> bytes:
            holder = member.hold(index)
            with index.write() as transaction:
                return add_future(transaction, holder, keys[: most_uses(index.bytes)])

        try:
            self._id = member.index.run(add)
        except Full:
            pass  # the cache then knows less, and evicts by last use
        self._at = 0

    _id: bytes | None

    def advance(self, to: int) -> None:
        """Uses before number ``to`` are over, or have begun: say so when you lease a shard, not when you give it back.
        What is leased stays in any case."""
        future = self._id
        if future is None or to <= self._at:
            return
        self._at = to

        def move(index: Index) -> None:
            holder = self._member.hold(index)
            with index.write() as transaction:
                set_position(transaction, holder, future, to)

        self._member.index.run(move)

    def close(self) -> None:
        """Nothing is known of it any more."""
        future, self._id = self._id, None
        if future is None:
            return

        def remove(index: Index) -> None:
            with index.write() as transaction:
                remove_future(transaction, future)

        self._member.index.run(remove)

    def __enter__(self) -> Future:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
