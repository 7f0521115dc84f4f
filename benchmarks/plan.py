"""How long planning takes: ``python -m benchmarks.plan``.

Random requests as they come to a storage tier (features and weights of 20–900 MB, 0.2–30 MB an image), and the same
with only two or three networks among them, planned with both aims; and the jobs of a worker, event by event.
Half a minute on one core. Times are the thread's own, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence

from hapistore.planning import BatchPlanner, ExtractionRequest, Job, MemoryModel, ThroughputCurve, plan_batches

from .environment import spread, write_result

MB = 1 << 20
COUNTS = (1, 4, 8, 16, 32, 64)
BUDGETS_GIB = (4, 16, 64)


def requests(count: int, networks: int, rng: random.Random) -> list[ExtractionRequest]:
    """Requests of so many different networks; 0: each its own."""
    sizes = [(rng.randrange(20 * MB, 200 * MB), rng.uniform(0.2, 30) * MB) for _ in range(networks or count)]
    curve = ThroughputCurve().observe(1, 0.05).observe(32, 0.4).observe(128, 1.6)
    return [
        ExtractionRequest(
            name=f"r{place:02d}", tenant=f"t{place % 5}", weight=1 + place % 3, waiting_since=place,
            fixed_bytes=fixed, bytes_per_image=image, min_batch=1, max_batch=rng.randint(8, 256),
            curve=curve if place % 2 else None,
        )
        for place, (fixed, image) in enumerate(sizes[place % len(sizes)] for place in range(count))
    ]  # fmt: skip


def plan_ms(count: int, networks: int, aim: str, repeats: int, seed: int) -> dict[str, float]:
    """Milliseconds of processor time of a plan over random requests and budgets."""
    rng = random.Random(seed)
    found = []
    for _ in range(repeats):
        waiting, budget = requests(count, networks, rng), rng.choice(BUDGETS_GIB) << 30
        started = time.thread_time()
        plan_batches(waiting, budget, aim=aim)
        found.append(1000 * (time.thread_time() - started))
    ordered = sorted(found)
    return {**spread(found), "p99": ordered[int(0.99 * len(ordered))]}


def event_ms(jobs: int, repeats: int, seed: int) -> dict[str, float]:
    """Milliseconds of processor time of an observation while so many jobs run."""
    rng = random.Random(seed)
    planner = BatchPlanner(64 << 30)
    for number in range(jobs):
        model = MemoryModel.fit([(1, 60 * MB), (8, rng.randrange(90, 200) * MB)])
        planner.submit(Job(name=f"j{number}", tenant=f"t{number % 5}", model=model, max_batch=128))
    found = []
    for _ in range(repeats):
        name, batch = rng.choice(sorted(planner.running.items()))
        started = time.thread_time()
        planner.observe(name, batch, (60 + 6 * batch) * MB, batch / rng.uniform(100, 200))
        found.append(1000 * (time.thread_time() - started))
    return spread(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    plans = {
        f"{count} requests, {f'{networks} networks' if networks else 'each its own network'}, aim {aim}": plan_ms(
            count, networks, aim, options.repeats, options.seed
        )
        for count in COUNTS
        for networks in (0, 2, 3)
        for aim in ("knee", "memory")
    }
    result = {
        "seed": options.seed,
        "plan_ms": plans,
        "observe_ms": {f"{jobs} jobs": event_ms(jobs, options.repeats, options.seed) for jobs in (4, 32)},
    }
    print(write_result("plan", result))


if __name__ == "__main__":
    main()
