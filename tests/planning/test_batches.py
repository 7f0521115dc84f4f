"""The extraction batch against simulated executors: within the budget, near the best, and smaller after a failure."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore.planning import BatchGrowth

MB = 1 << 20


@dataclass
class Simulated:
    """An executor whose memory is a line and whose speed is a curve with a knee.

    A batch of n takes ``overhead_s + n × image_s``, and beyond ``knee`` images ``slowdown`` times as long an image.
    """

    idle: int = 500 * MB
    image: int = 10 * MB
    fixed: int = 0
    overhead_s: float = 0.2
    image_s: float = 0.01
    knee: int = 1 << 30
    slowdown: float = 1.0
    noise: float = 0.0
    limit: int = 1 << 60
    random: random.Random = field(default_factory=lambda: random.Random(1))
    ran: list[int] = field(default_factory=list)

    def peak(self, batch: int) -> int:
        return self.idle + self.fixed + batch * self.image

    def seconds(self, batch: int) -> float:
        per_image = self.image_s * (self.slowdown if batch > self.knee else 1)
        return (self.overhead_s + batch * per_image) * (1 + self.random.uniform(0, self.noise))

    def drive(self, growth: BatchGrowth, turns: int = 60) -> list[int]:
        """Run batches of the size that ``growth`` says; the sizes in order."""
        for _ in range(turns):
            batch = growth.batch
            assert batch >= 1
            if self.peak(batch) > self.limit:
                self.ran.append(batch)
                growth.out_of_memory(batch)
                continue
            seconds = self.seconds(batch)
            self.ran.append(batch)
            growth.observe(batch, self.peak(batch), seconds)
        return self.ran


def growth(executor: Simulated, budget: int, **more) -> BatchGrowth:
    return BatchGrowth(budget_bytes=budget, idle_bytes=executor.idle, **more)


def test_it_begins_with_one_image():
    assert growth(Simulated(), 1 << 40).batch == 1


def test_it_grows_to_the_largest_that_pays():
    executor = Simulated()
    settled = executor.drive(growth(executor, 1 << 40))[-1]
    assert settled == 256  # the default bound: the overhead is spread ever thinner


def test_it_never_runs_beyond_the_budget():
    executor = Simulated()
    for budget in (600 * MB, 700 * MB, 1000 * MB, 2000 * MB, 3000 * MB):
        executor.ran.clear()
        sizes = executor.drive(growth(executor, budget))
        assert max(executor.peak(size) for size in sizes) <= budget
        # and no smaller than half of what would fit, its reserve of 5 % kept
        largest = (budget * 0.95 - executor.idle) / executor.image
        assert sizes[-1] * 2 > min(256, largest) / 2


def test_it_settles_at_a_knee():
    executor = Simulated(overhead_s=0.02, knee=32, slowdown=2.0)
    sizes = executor.drive(growth(executor, 1 << 40))
    assert sizes[-1] == 32
    assert max(sizes) <= 32 << 2  # it looked no further than two doublings past it


def test_it_looks_past_a_bump():
    """One size that is a little slower than the one before does not end the search."""

    class Bumpy(Simulated):
        def seconds(self, batch):
            return super().seconds(batch) * (1.3 if batch == 8 else 1)

    executor = Bumpy()
    assert executor.drive(growth(executor, 1 << 40))[-1] == 256


def test_a_slow_first_run_does_not_decide():
    class Warming(Simulated):
        def seconds(self, batch):
            return super().seconds(batch) * (20 if batch >= 8 and batch not in self.ran else 1)

    executor = Warming()
    assert executor.drive(growth(executor, 1 << 40))[-1] == 256


def test_noise_does_not_keep_it_from_settling_near_the_best():
    for seed in range(20):
        executor = Simulated(knee=64, slowdown=1.5, noise=0.05, random=random.Random(seed))
        settled = executor.drive(growth(executor, 1 << 40))[-1]
        best = max(2**k / Simulated(knee=64, slowdown=1.5).seconds(2**k) for k in range(9))
        assert settled / Simulated(knee=64, slowdown=1.5).seconds(settled) > 0.85 * best


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 16, 100])
def test_it_respects_its_bound(bound):
    executor = Simulated()
    sizes = executor.drive(growth(executor, 1 << 40, max_batch=bound))
    assert max(sizes) <= bound
    assert sizes[-1] * 2 > bound


def test_running_out_of_memory_halves_it_for_good():
    executor = Simulated(limit=500 * MB + 20 * 10 * MB)  # there is less than the budget says
    sizes = executor.drive(growth(executor, 1 << 40))
    assert sizes[-1] <= 16
    failed = [size for size in sizes if executor.peak(size) > executor.limit]
    assert failed == [32]


def test_running_out_of_memory_again_halves_again_down_to_one():
    plan = growth(Simulated(), 1 << 40)
    for batch in (64, 32, 16, 2, 1, 1):
        plan.out_of_memory(batch)
    assert plan.batch == 1


def test_a_budget_that_was_exceeded_shrinks_it():
    plan = growth(Simulated(), 1000 * MB)
    plan.observe(1, 600 * MB, 1.0)
    plan.observe(1, 600 * MB, 1.0)
    assert plan.batch == 2
    plan.observe(2, 1100 * MB, 1.0)  # more than a line predicted
    assert plan.batch == 1
    for _ in range(10):
        plan.observe(1, 600 * MB, 1.0)
    assert plan.batch == 1


def test_the_short_batch_at_the_end_of_a_shard_tells_nothing():
    plan = growth(Simulated(), 1 << 40)
    for size in (1, 1, 2, 2, 4, 4):
        plan.observe(size, 500 * MB, size / 100)
    before = vars(plan).copy()
    plan.observe(3, 1 << 50, 1000.0)
    assert vars(plan) == before


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    idle=st.integers(1, 4000),
    image=st.integers(0, 400),
    fixed=st.integers(0, 300),
    headroom=st.integers(0, 8000),
    overhead=st.floats(0, 1),
    image_s=st.floats(1e-5, 0.1),
    knee=st.integers(1, 512),
    slowdown=st.floats(1, 4),
    bound=st.integers(1, 512),
)
def test_on_any_line_and_curve(idle, image, fixed, headroom, overhead, image_s, knee, slowdown, bound):
    executor = Simulated(
        idle=idle * MB, image=image * MB, fixed=fixed * MB,
        overhead_s=overhead, image_s=image_s, knee=knee, slowdown=slowdown,
    )  # fmt: skip
    budget = executor.peak(1) + headroom * MB  # one image fits, or there is nothing to plan
    sizes = executor.drive(growth(executor, budget, max_batch=bound), turns=40)
    assert all(1 <= size <= bound for size in sizes)
    assert max(executor.peak(size) for size in sizes) <= budget
    assert len(set(sizes[-5:])) == 1  # it has settled
    tried = {size: size / executor.seconds(size) for size in set(sizes)}
    assert tried[sizes[-1]] * 1.021 >= max(tried.values())  # what was given up was worth no more than 2 %
    assert sizes.index(max(sizes)) <= 2 * 10  # two runs of each size on the way up


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(limit=st.integers(1, 300), seed=st.integers(0, 99), noise=st.floats(0, 0.5))
def test_whatever_fails_is_never_run_again(limit, seed, noise):
    executor = Simulated(noise=noise, random=random.Random(seed))
    executor.limit = executor.peak(limit)
    sizes = executor.drive(growth(executor, 1 << 40))
    failed = [place for place, size in enumerate(sizes) if size > limit]
    assert len(failed) <= 1  # the next is half, and a doubling of what ran was what failed
    assert sizes[-1] <= limit
