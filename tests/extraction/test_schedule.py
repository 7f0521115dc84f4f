"""A worker's bookkeeping in any order of events: no job is lost, the plan keeps to the budget, jobs follow the plan."""

from __future__ import annotations

import threading
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import hapistore as hs
from hapistore.extraction import ExtractionJob, ExtractionWorker, Network
from hapistore.extraction.profiles import ExtractionProfile
from hapistore.extraction.worker.active_job import ActiveJob
from hapistore.extraction.worker.jobs import CheckedJob
from hapistore.extraction.worker.loading import Loader
from hapistore.extraction.worker.schedule import Schedule
from hapistore.planning import MemoryModel, ThroughputCurve
from hapistore.stores import MemoryStore
from hapistore_format import DatasetVersion, Recipe, ShardRef

MB = 1 << 20
EXAMPLES = count()  # what one has measured is known to the next, if their networks are the same
PREPROCESS = hs.Preprocess(resize_px=8, crop_px=(8, 8), mean_levels=(0.0,) * 3, std_levels=(1.0,) * 3)


def checked(number: int, network: str, tenant: str, weight: float, rows: int) -> CheckedJob:
    """A job as the check leaves it; its network is told from others by the recipe."""
    shard = ShardRef(images="0" * 64, annotations="1" * 64, layout="arrow", rows=rows, bytes=1000)
    recipe = Recipe(
        architecture=f"network{network}", weights="2" * 64, program=None, cut="pool",
        preprocess=PREPROCESS.to_json(), precision="f32", shape=(16,),
    )  # fmt: skip
    return CheckedJob(
        job=ExtractionJob(dataset="d", network=Network(backbone="x"), executor="torch", tenant=tenant, weight=weight),
        name=f"job{number}",
        version=DatasetVersion(dataset="d", number=1, shards=(shard,), created="2026-11-26T00:00:00Z"),
        recipe=recipe,
        preprocess=PREPROCESS,
        max_error=0.002,
        weights_bytes=MB,
        weights_name="random",
        to_run=1,
        present=0,
    )


class AnyEvents(RuleBasedStateMachine):
    """Real jobs whose threads are the machine's own rules."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, ActiveJob] = {}
        self.started: set[str] = set()
        self.gone: set[str] = set()

    @initialize(spare=st.integers(0, 3000), aim=st.sampled_from(["knee", "memory"]))
    def begin(self, spare, aim):
        self.store = MemoryStore()
        self.worker = ExtractionWorker(self.store)
        self.own = 700 * MB
        self.budget = self.own + spare * MB
        self.example = next(EXAMPLES)
        self.loader = Loader(self.store, self.budget)
        lock = threading.Condition(threading.RLock())
        self.schedule = Schedule(
            self.budget,
            self.loader,
            lock,
            aim=aim,
            start=self.start,
            refuse=lambda job, reason: self.gone.add(job.name),
            resident_bytes=lambda: self.own,
        )
        self.schedule.rebase()

    def start(self, job: ActiveJob) -> None:
        assert job.name not in self.gone and job.allowed > 0
        self.started.add(job.name)

    def running(self) -> list[str]:
        return sorted(name for name, job in self.jobs.items() if job.allowed and name not in self.gone)

    @rule(network=st.integers(0, 2), tenant=st.sampled_from("abc"), weight=st.floats(0.1, 10), rows=st.integers(1, 500))
    def submit(self, network, tenant, weight, rows):
        one = checked(len(self.jobs), f"{self.example}-{network}", tenant, weight, rows)
        job = self.jobs[one.name] = ActiveJob(one, self.worker, self.schedule, 0.0)
        self.schedule.submit(job)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), fixed=st.integers(1, 900), image=st.integers(0, 40), rate=st.floats(1, 100))
    def measure(self, data, fixed, image, rate):
        job = self.jobs[data.draw(st.sampled_from(self.running()))]
        model = MemoryModel.fit([(1, (fixed + image) * MB), (8, (fixed + 8 * image) * MB)])
        curve = ThroughputCurve().observe(1, 1 / rate).observe(8, 4 / rate)
        self.schedule.measured(job, self.loader.keep(job.checked, ExtractionProfile(model=model, curve=curve)))
        same = [other for name, other in self.jobs.items() if other.checked.recipe == job.checked.recipe]
        assert not any(other.guessed for other in same if other.name not in self.gone)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), peak=st.integers(1, 2000), seconds=st.floats(0.01, 10))
    def observe(self, data, peak, seconds):
        job = self.jobs[data.draw(st.sampled_from(self.running()))]
        self.schedule.observed(job, job.allowed, peak * MB, seconds)

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def run_out_of_memory(self, data):
        job = self.jobs[data.draw(st.sampled_from(self.running()))]
        before = job.allowed
        self.schedule.out_of_memory(job, before)
        assert job.allowed <= max(1, before // 2)

    @precondition(lambda self: set(self.jobs) - self.gone)
    @rule(data=st.data())
    def end(self, data):
        name = data.draw(st.sampled_from(sorted(set(self.jobs) - self.gone)))
        self.gone.add(name)
        self.schedule.ended(self.jobs[name])
        self.schedule.ended(self.jobs[name])  # twice is as good as once

    @rule(more=st.integers(-100, 100))
    def look_again(self, more):
        self.own += more * MB
        self.schedule.rebase()

    @invariant()
    def the_plan_keeps_to_the_budget(self):
        if hasattr(self, "schedule"):
            granted = sum(self.schedule.granted(job) for job in self.jobs.values())
            assert granted <= max(0, self.budget - self.schedule.base_bytes)

    @invariant()
    def no_job_is_lost(self):
        if not hasattr(self, "schedule"):
            return
        at_hand = set(self.jobs) - self.gone
        assert at_hand == set(self.schedule._jobs)
        assert set(self.running()) <= self.started
        for job in (self.jobs[name] for name in at_hand):
            granted = self.schedule.granted(job)
            # Where nothing is left for jobs, one may find out what it takes, and is refused then.
            assert granted > 0 if job.allowed and not (job.guessed and self.schedule._rest == 0) else granted == 0
        assert self.running() or not at_hand  # somebody runs while anybody waits

    def teardown(self):
        if hasattr(self, "worker"):
            self.worker.close()


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=30, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow])
