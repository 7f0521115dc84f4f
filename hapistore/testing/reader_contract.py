"""What everything must do that hands out training batches: readers, pipes, datasets, nodes."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pytest

from ..errors import UsageError

SIZES = [(1, 1), (2, 1), (3, 2), (1, 4), (4, 2), (8, 1), (5, 3), (1, 8)]


class Source(Protocol):
    """One rank's, as the tests see it: training batches are lists of what tells their rows apart."""

    def epoch(self, workers: int = 0) -> Iterator[list[int]]:
        """The next epoch, or what is left of one; by so many loader workers, 0 for this process."""

    def set_epoch(self, epoch: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


class ReaderContract:
    """Inherit it, and give it two fixtures::

        class TestMine(ReaderContract):
            @pytest.fixture
            def open_source(self):
                return lambda rank=0, ranks=1, **options: …  # a Source; options as of ReadOptions

            @pytest.fixture
            def rows(self):
                return range(103)  # what an epoch has

    Attributes:
        most_workers: with how many loader workers it is tried at most; 0 where it has none.
    """

    most_workers = 8

    # every row once

    @pytest.mark.parametrize("shuffle", ["global", "window", "shard", "none"])
    def test_an_epoch_has_every_row_once(
        self, open_source: Callable[..., Source], rows: Sequence[int], shuffle: str
    ) -> None:
        source = open_source(batch_size=8, shuffle=shuffle)
        for _ in range(2):
            assert sorted(flat(source.epoch())) == sorted(rows)
        source.close()

    @pytest.mark.parametrize(("ranks", "workers"), SIZES)
    @pytest.mark.parametrize("last", ["keep", "drop", "pad"])
    def test_ranks_and_workers_share_it(
        self, open_source: Callable[..., Source], rows: Sequence[int], ranks: int, workers: int, last: str
    ) -> None:
        """All ranks have equally many steps, each step is a global batch, and any number of workers the same."""
        workers = min(workers, self.most_workers)
        by_rank = []
        for rank in range(ranks):
            source = open_source(rank, ranks, batch_size=3, last=last)
            source.set_epoch(1)
            alone = list(source.epoch())
            if workers > 1:
                source.set_epoch(1)
                assert list(source.epoch(workers)) == alone
            by_rank.append(alone)
            source.close()
        assert len({len(batches) for batches in by_rank}) == 1
        steps = [flat(step) for step in zip(*by_rank, strict=True)]
        assert {len(step) for step in steps[:-1]} <= {3 * ranks}
        seen = flat(steps)
        if last == "keep":
            assert sorted(seen) == sorted(rows)
        elif last == "drop":
            assert len(seen) == len(set(seen)) == len(rows) // (3 * ranks) * 3 * ranks
        else:
            assert set(seen) == set(rows)
            assert len(seen) == -(-len(rows) // (3 * ranks)) * 3 * ranks

    def test_the_order_does_not_depend_on_ranks_nor_on_the_size_of_batches(
        self, open_source: Callable[..., Source]
    ) -> None:
        whole = open_source(batch_size=12)
        expected = [sorted(batch) for batch in whole.epoch()]
        ranks = [open_source(rank, 4, batch_size=3) for rank in range(4)]
        found = [sorted(flat(step)) for step in zip(*(source.epoch() for source in ranks), strict=True)]
        assert found == expected
        fixed = [open_source(rank, 4, global_batch_size=12) for rank in range(4)]
        assert [sorted(flat(s)) for s in zip(*(source.epoch() for source in fixed), strict=True)] == expected
        for source in (whole, *ranks, *fixed):
            source.close()

    # the order

    def test_the_order_is_that_of_its_seed_and_epoch(self, open_source: Callable[..., Source]) -> None:
        orders = {}
        for seed in (0, 1):
            source, twin = open_source(batch_size=8, seed=seed), open_source(batch_size=8, seed=seed)
            for epoch in (0, 1):
                orders[seed, epoch] = tuple(flat(source.epoch()))
                twin.set_epoch(epoch)
                assert tuple(flat(twin.epoch())) == orders[seed, epoch]
            source.close()
            twin.close()
        assert len(set(orders.values())) == 4

    # going on

    @pytest.mark.parametrize("taken", [0, 1, 5, 12, 13], ids=["start", "first", "middle", "last but one", "end"])
    @pytest.mark.parametrize("epoch", [0, 2])
    @pytest.mark.parametrize("shuffle", ["global", "window"])
    def test_it_goes_on_where_it_stood(
        self, open_source: Callable[..., Source], taken: int, epoch: int, shuffle: str
    ) -> None:
        source = open_source(batch_size=8, shuffle=shuffle)
        for _ in range(epoch):
            list(source.epoch())
        batches = source.epoch()
        for _ in range(taken):
            next(batches)
        state = json.loads(json.dumps(source.state_dict()))
        rest = list(batches) or list(source.epoch())
        again = open_source(batch_size=8, shuffle=shuffle)
        again.load_state_dict(state)
        assert list(again.epoch()) == rest
        assert list(again.epoch()) == list(source.epoch())
        source.close()
        again.close()

    @pytest.mark.parametrize(("before", "after"), [(4, 2), (4, 8), (1, 3), (3, 1)])
    def test_other_ranks_go_on(
        self, open_source: Callable[..., Source], rows: Sequence[int], before: int, after: int
    ) -> None:
        sources = [open_source(rank, before, batch_size=2) for rank in range(before)]
        epochs = [source.epoch() for source in sources]
        seen = [row for epoch in epochs for batch in islice(epoch, 5) for row in batch]
        states = [source.state_dict() for source in sources]
        assert all(state == states[0] for state in states)
        others = [open_source(rank, after, batch_size=2) for rank in range(after)]
        for source in others:
            source.load_state_dict(states[0])
        seen += [row for source in others for batch in source.epoch() for row in batch]
        assert sorted(seen) == sorted(rows)
        for source in (*sources, *others):
            source.close()

    def test_a_state_of_something_else_is_refused(self, open_source: Callable[..., Source]) -> None:
        source = open_source(batch_size=8)
        state = source.state_dict()
        for wrong in (
            {},
            {**state, "format": 99},
            {**state, "epoch": -1},
            {**state, "position": "1"},
            {**state, "view": {**state["view"], "dataset": "another@1"}},
        ):
            with pytest.raises(UsageError, match="state"):
                source.load_state_dict(wrong)
        with pytest.raises(UsageError, match="seed is 0 there and 1 here"):
            open_source(batch_size=8, seed=1).load_state_dict(state)
        with pytest.raises(UsageError, match="shuffle is 'global' there and 'window' here"):
            open_source(batch_size=8, shuffle="window").load_state_dict(state)
        assert source.state_dict() == state

    # use and misuse

    def test_an_epoch_that_is_broken_off_is_followed_by_the_next(
        self, open_source: Callable[..., Source], rows: Sequence[int]
    ) -> None:
        source, twin = open_source(batch_size=8), open_source(batch_size=8)
        for batch in source.epoch():
            assert batch
            break
        list(twin.epoch())
        second = list(source.epoch())
        assert second == list(twin.epoch())
        assert sorted(flat(second)) == sorted(rows)
        source.close()
        twin.close()

    def test_nothing_is_left_behind(self, open_source: Callable[..., Source]) -> None:
        """Neither threads nor descriptors, of epochs that ended and of such that were broken off."""
        warm = open_source(batch_size=8)
        list(warm.epoch())
        warm.close()
        del warm
        _settle()
        threads, descriptors = threading.active_count(), _descriptors()
        for _ in range(5):
            source = open_source(batch_size=8)
            list(source.epoch())
            next(iter(source.epoch()))
            source.close()
            del source
        _settle(threads)
        assert threading.active_count() <= threads
        assert _descriptors() <= descriptors


def flat(batches: Iterable[list[int]]) -> list[int]:
    """Their rows, one after the other."""
    return [row for batch in batches for row in batch]


def _descriptors() -> int:
    open_ones = Path("/proc/self/fd")
    return len(list(open_ones.iterdir())) if open_ones.is_dir() else 0


def _settle(threads: int = 0) -> None:
    """Wait for threads that are ending."""
    for _ in range(100):
        gc.collect()
        if threading.active_count() <= max(threads, 1):
            return
        time.sleep(0.05)
