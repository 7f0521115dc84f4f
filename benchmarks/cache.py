"""How often a cache has what is read: ``python -m benchmarks.cache``.

Traces of shuffled epochs over data sets of several times the capacity, one shard a step, by one reader or by three in
turn. Ours is the function that the cache itself uses, told by each reader the rest of its epoch and the next one.
Beside it the offline optimum over the whole trace; LRU, which is also what MosaicML Streaming's ``cache_limit`` does;
FIFO; and deleting each shard as soon as it was used, as LitData does where a data set exceeds ``max_cache_size``. Then
what a lease costs.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hapistore.cache import POLICIES, Candidate, ShardCache, ShardName, choose_victims
from hapistore_format import write_feature_shard

from .environment import spread, write_result

CAPACITY, EPOCHS = 60, 6
TIMES_LARGER, READERS = (2, 4, 10), (1, 3)
NextUse = Callable[[int, int], "int | None"]


def traces(shards: int, readers: int, seed: int) -> list[list[int]]:
    """For each reader the shards that it uses, epoch after epoch, each epoch in an order of its own."""
    rng = random.Random(seed)
    return [[shard for _ in range(EPOCHS) for shard in rng.sample(range(shards), shards)] for _ in range(readers)]


def merge(orders: list[list[int]]) -> list[int]:
    """Readers in turn."""
    return [shard for step in zip(*orders, strict=True) for shard in step]


def places_of(order: list[int]) -> dict[int, list[int]]:
    """Where each shard is used."""
    places: dict[int, list[int]] = {}
    for place, shard in enumerate(order):
        places.setdefault(shard, []).append(place)
    return places


def whole_future(trace: list[int]) -> NextUse:
    """The next use of a shard after a step, knowing everything."""
    places = places_of(trace)

    def find(shard: int, step: int) -> int | None:
        at = bisect_right(places[shard], step)
        return places[shard][at] if at < len(places[shard]) else None

    return find


def announced_future(orders: list[list[int]], shards: int) -> NextUse:
    """The nearest next use as readers tell it: each the rest of its epoch and the next one."""
    known = [places_of(order) for order in orders]

    def find(shard: int, step: int) -> int | None:
        distances = []
        for reader, places in enumerate(known):
            # Readers up to this step's have begun one use more.
            at = step // len(orders) + (reader <= step % len(orders))
            horizon = (at // shards + 2) * shards
            found = bisect_right(places[shard], at - 1)
            if found < len(places[shard]) and places[shard][found] < horizon:
                distances.append(places[shard][found] - at)
        return min(distances, default=None)

    return find


def hit_rate(trace: list[int], policy: str, next_use: NextUse | None = None) -> float:
    """Hits of all uses but each shard's first, which every cache misses."""
    cached: dict[int, Candidate] = {}
    hits = 0
    for step, wanted in enumerate(trace):
        if wanted in cached:
            hits += 1
            cached[wanted] = cached[wanted]._replace(used=step)
            continue
        arriving = Candidate(1, next_use(wanted, step) if next_use else None, step, step)
        keys, lacking = list(cached), len(cached) + 1 - CAPACITY
        if lacking > 0:
            candidates = [
                cached[key]._replace(next_use=next_use(key, step)) if next_use else cached[key] for key in keys
            ]
            victims = choose_victims(candidates, arriving, lacking, POLICIES[policy])
            if victims is None:
                continue
            for place in victims:
                del cached[keys[place]]
        cached[wanted] = arriving
    return hits / (len(trace) - len(set(trace)))


def optimum(trace: list[int]) -> float:
    """The same of Belady's MIN with everything known, written down by itself."""
    next_use = whole_future(trace)
    cached: set[int] = set()
    hits = 0
    for step, wanted in enumerate(trace):
        if wanted in cached:
            hits += 1
            continue
        cached.add(wanted)
        if len(cached) > CAPACITY:
            cached.remove(max(cached, key=lambda shard: next_use(shard, step) or len(trace)))
    return hits / (len(trace) - len(set(trace)))


def simulate(times: int, readers: int, seed: int) -> dict[str, float]:
    """Hit rates by policy."""
    shards = times * CAPACITY
    orders = traces(shards, readers, seed)
    trace = merge(orders)
    return {
        "offline optimum": optimum(trace),
        "hapistore": hit_rate(trace, "next-use", announced_future(orders, shards)),
        "LRU (Streaming)": hit_rate(trace, "lru"),
        "FIFO": hit_rate(trace, "fifo"),
        # What is gone when it was used is there for nobody.
        "delete after use (LitData)": 0.0,
    }


def lease_us(folder: Path, count: int = 1000) -> dict[str, dict[str, float]]:
    """Microseconds of what readers do again and again, in a cache of so many small shards."""
    features = np.zeros((4, 16), np.float32)
    data = write_feature_shard(features, codec="u8c+zstd", recipe="a" * 64, images="b" * 64, provenance={})
    names = [ShardName("s3://bucket/prefix", f"features/{'a' * 64}/u8c+zstd/{n:064x}.arrow") for n in range(count)]
    with ShardCache(folder, capacity_bytes=64 << 20, reserve_bytes=0) as cache:
        for name in names:
            cache.lease(name, lambda: data).close()
        leases = []
        first = _timed(lambda n: leases.append(cache.lease(names[n], lambda: data)), count)
        again = _timed(lambda n: cache.lease(names[n], lambda: data).close(), count)
        last = _timed(lambda n: leases[n].close(), count)
        with cache.announce(names) as future:
            advance = _timed(lambda n: future.advance(n + 1), count)
    return {"first lease in a process": first, "another, and its end": again, "last end": last, "advance": advance}


def _timed(work: Callable[[int], object], count: int) -> dict[str, float]:
    found = []
    for number in range(count):
        started = time.perf_counter()
        work(number)
        found.append(1e6 * (time.perf_counter() - started))
    ordered = sorted(found)
    return {**spread(found), "p99": ordered[int(0.99 * len(ordered))]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    rates: dict[str, dict[str, dict[str, float]]] = {}
    for readers in READERS:
        for times in TIMES_LARGER:
            runs = [simulate(times, readers, seed) for seed in range(options.seeds)]
            found = {policy: spread([run[policy] for run in runs]) for policy in runs[0]}
            rates[f"{readers} readers, {times} times the capacity"] = found
            print(
                f"{readers} readers, {times:2}x:", {policy: round(rate["median"], 3) for policy, rate in found.items()}
            )
    with tempfile.TemporaryDirectory() as folder:
        leases = lease_us(Path(folder) / "cache")
    print({what: round(times["median"], 1) for what, times in leases.items()})
    write_result("cache", {"hit_rates": rates, "lease_us": leases, "capacity_shards": CAPACITY, "epochs": EPOCHS})


if __name__ == "__main__":
    main()
