"""One decode for several readers of a shard: every row once for each, in bounded memory, whoever comes or goes."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from contextlib import closing

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog import open_image_shard, resolve_version
from hapistore.extraction import AugmentOptions
from hapistore.extraction.pixels import ShardPixels, decode_shards
from hapistore.extraction.trace import Trace
from hapistore.extraction.worker.shared_pixels import PixelHub

PREPROCESS = hs.Preprocess(resize_px=32, crop_px=(32, 32), mean_levels=(0.0,) * 3, std_levels=(1.0,) * 3)
ROW_BYTES = 32 * 32 * 3
WINDOW = 4


@pytest.fixture
def shards(store):
    return resolve_version(store, "mixed").shards


@pytest.fixture
def hub(store):
    hub = PixelHub(store, threads=2, window_bytes=WINDOW * ROW_BYTES)
    yield hub
    hub.close()


def read(hub, shard, check=lambda: None):
    return closing(hub.rows(shard, PREPROCESS, Trace(), check))


def test_who_runs_together_shares_every_decode(store, shards, hub):
    """Readers of very different speeds, each over all shards; what they see is what the shards hold."""
    seen: dict[int, list[tuple[int, np.ndarray]]] = {number: [] for number in range(3)}
    together = threading.Barrier(3)

    def work(number: int) -> None:
        pause = random.Random(number)
        for shard in shards:
            together.wait()
            with read(hub, shard) as rows:
                for row, pixels in rows:
                    seen[number].append((row, pixels))
                    if number:
                        time.sleep(pause.uniform(0, 0.003 * number))

    threads = [threading.Thread(target=work, args=(number,)) for number in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    expected = [
        PREPROCESS(reader.image(row))
        for reader in (open_image_shard(store, s) for s in shards)
        for row in range(len(reader))
    ]
    for found in seen.values():
        at = 0
        for shard in shards:
            part = dict(found[at : at + shard.rows])
            assert sorted(part) == list(range(shard.rows))
            for row in range(shard.rows):
                np.testing.assert_array_equal(part[row], expected[at + row])
            at += shard.rows
    assert hub.taken == 3 * len(expected)
    # Who begins late by a thread's start may miss the first rows of a shard.
    assert len(expected) <= hub.decoded <= 1.6 * len(expected)


def test_who_comes_late_joins_and_makes_up_for_it(shards, hub):
    shard = max(shards, key=lambda s: s.rows)
    late = shard.rows // 3
    with read(hub, shard) as first:
        for _ in range(late):
            next(first)
        assert hub.place_to_begin(shards, PREPROCESS) == list(shards).index(shard)
        order: list[int] = []

        def follow() -> None:
            with read(hub, shard) as second:
                order.extend(row for row, _ in second)

        thread = threading.Thread(target=follow)
        thread.start()
        rest = [row for row, _ in first]
    thread.join(60)
    assert rest == list(range(late, shard.rows))
    begun = order[0]
    assert late <= begun < shard.rows
    assert order == [*range(begun, shard.rows), *range(begun)]
    assert hub.decoded == shard.rows + begun
    assert hub.place_to_begin(shards, PREPROCESS) == 0


def test_who_is_ahead_waits_and_goes_on_when_the_other_leaves(shards, hub):
    shard = max(shards, key=lambda s: s.rows)
    slow = hub.rows(shard, PREPROCESS, Trace(), lambda: None)
    next(slow)  # it is at row 1
    taken: list[int] = []

    def run() -> None:
        with read(hub, shard) as fast:
            for row, _ in fast:
                taken.append(row)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while len(taken) < WINDOW and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.2)
    assert taken == list(range(1, 1 + WINDOW))  # no further than the window
    slow.close()
    thread.join(60)
    assert sorted(taken) == list(range(shard.rows))


def test_variants_share_no_decode_with_each_other_and_are_what_an_extraction_draws(store, shards, hub):
    shard = max(shards, key=lambda s: s.rows)
    numbers = [None, *(AugmentOptions(variants=2, colour_percent=(40, 0, 0), seed=5).number(n) for n in range(2))]
    with contextlib.ExitStack() as together:
        scans = [
            together.enter_context(closing(hub.rows(shard, PREPROCESS, Trace(), lambda: None, number)))
            for number in numbers
        ]
        variants = [dict(scan) for scan in zip(*zip(*scans, strict=True), strict=True)]
    assert hub.decoded == hub.taken == 3 * shard.rows
    drawn = list(decode_shards(store, [ShardPixels(shard, tuple(numbers))], PREPROCESS, threads=1, trace=Trace()))
    assert len(drawn) == 3 * shard.rows
    for number, pixels in enumerate(drawn):
        row, variant = divmod(number, 3)
        np.testing.assert_array_equal(variants[variant][row], pixels)
    assert not np.array_equal(variants[1][0], variants[2][0])


def test_a_wait_ends_by_what_its_check_raises(shards, hub):
    shard = max(shards, key=lambda s: s.rows)
    with read(hub, shard) as slow:
        next(slow)

        def give_up():
            raise InterruptedError

        with pytest.raises(InterruptedError), read(hub, shard, give_up) as fast:
            list(fast)
        assert len(list(slow)) == shard.rows - 1
