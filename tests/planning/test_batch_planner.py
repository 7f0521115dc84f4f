"""The planner of a worker in any order of events: within the budget, no job lost, nobody starved, shares by weight."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hapistore.errors import UsageError
from hapistore.planning import BatchPlanner, Job, MemoryModel, ThroughputCurve
from hapistore.planning.batch_plan import PATIENCE

MB = 1 << 20


def model(fixed: int, image: int) -> MemoryModel:
    """A line in MB, seen at one image and at 256."""
    return MemoryModel.fit([(1, (fixed + image) * MB), (256, (fixed + 256 * image) * MB)])


def job(name: str, *, fixed: int = 50, image: int = 6, tenant: str | None = None, **more) -> Job:
    return Job(name=name, tenant=tenant or name, model=model(fixed, image), **more)


def kinds(decisions) -> list[tuple[str, str]]:
    return [(decision.kind, decision.name) for decision in decisions]


class AnyEvents(RuleBasedStateMachine):
    """Every event in any order; what the decisions say is followed, and compared with what the planner says."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: dict[str, Job] = {}
        self.running: dict[str, int] = {}
        self.waiting: set[str] = set()
        self.gone: set[str] = set()

    @initialize(budget=st.integers(100, 4000), aim=st.sampled_from(["knee", "memory"]))
    def begin(self, budget, aim):
        self.budget = budget * MB
        self.planner = BatchPlanner(self.budget, aim=aim)

    def follow(self, decisions) -> None:
        for decision in decisions:
            name = decision.name
            if decision.kind == "start":
                assert name in self.waiting
                self.waiting.remove(name)
                self.running[name] = decision.batch
            elif decision.kind == "resize":
                assert self.running[name] != decision.batch
                self.running[name] = decision.batch
            elif decision.kind == "pause":
                del self.running[name]
                self.waiting.add(name)
            else:
                assert decision.reason and "\n" not in decision.reason
                self.waiting.discard(name)
                self.running.pop(name, None)
                self.gone.add(name)

    @rule(
        tenant=st.sampled_from("abc"), fixed=st.integers(0, 900), image=st.integers(0, 40),
        smallest=st.integers(1, 4), more=st.integers(0, 100), weight=st.floats(0.01, 100), cost=st.floats(0.01, 100),
    )  # fmt: skip
    def submit(self, tenant, fixed, image, smallest, more, weight, cost):
        name = f"job{len(self.submitted)}"
        self.submitted[name] = job(
            name, fixed=fixed, image=image, tenant=tenant, weight=weight, cost=cost,
            min_batch=smallest, max_batch=smallest + more,
        )  # fmt: skip
        self.waiting.add(name)
        decisions = self.planner.submit(self.submitted[name])
        self.follow(decisions)
        fits = self.submitted[name].model.upper_bytes(smallest) <= self.budget // 4096 * 4096
        assert (name in self.gone) == (not fits)  # refused at once, and only what can never fit

    @precondition(lambda self: self.running or self.waiting)
    @rule(data=st.data())
    def finish(self, data):
        name = data.draw(st.sampled_from(sorted({*self.running, *self.waiting})))
        self.running.pop(name, None)
        self.waiting.discard(name)
        self.gone.add(name)
        self.follow(self.planner.finish(name))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), share=st.floats(0.2, 2.0), seconds=st.floats(0.001, 10))
    def observe(self, data, share, seconds):
        name = data.draw(st.sampled_from(sorted(self.running)))
        batch = self.running[name]
        peak = int(share * self.submitted[name].model.upper_bytes(batch))
        self.follow(self.planner.observe(name, batch, peak, seconds))

    @precondition(lambda self: self.running or self.waiting)
    @rule(data=st.data(), fixed=st.integers(0, 2000), image=st.integers(0, 40), rate=st.floats(1, 100))
    def measured(self, data, fixed, image, rate):
        name = data.draw(st.sampled_from(sorted({*self.running, *self.waiting})))
        most = self.submitted[name].max_batch
        curve = ThroughputCurve().observe(1, 1 / rate)
        self.follow(self.planner.measured(name, model(fixed, image), curve, max_batch=most))

    @precondition(lambda self: self.running or self.waiting)
    @rule(data=st.data())
    def load_some(self, data):
        self.planner.loaded(data.draw(st.sets(st.sampled_from(sorted({*self.running, *self.waiting})))))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def run_out_of_memory(self, data):
        name = data.draw(st.sampled_from(sorted(self.running)))
        batch = self.running[name]
        alone = len(self.running) == 1
        self.follow(self.planner.out_of_memory(name, batch))
        if name in self.running:
            smallest = self.submitted[name].min_batch
            assert self.running[name] <= max(smallest, batch // 2)
            assert not (alone and batch == smallest)

    @rule(budget=st.integers(50, 4000))
    def another_budget(self, budget):
        self.budget = budget * MB
        self.follow(self.planner.resize_budget(self.budget))

    @invariant()
    def no_job_is_lost_and_no_batch_out_of_bounds(self):
        if not hasattr(self, "planner"):
            return
        assert self.planner.running == self.running
        assert set(self.planner.waiting) == self.waiting
        assert {*self.running, *self.waiting, *self.gone} == set(self.submitted)
        for name, batch in self.running.items():
            assert self.submitted[name].min_batch <= batch <= self.submitted[name].max_batch

    @invariant()
    def within_the_budget(self):
        if hasattr(self, "planner"):
            assert self.planner.granted_bytes <= self.budget
            granted = {name: self.planner.granted(name) for name in {*self.running, *self.waiting}}
            assert abs(sum(granted.values()) - self.planner.granted_bytes) <= len(granted)
            assert all((granted[name] > 0) <= (name in self.running) for name in granted)

    @invariant()
    def something_runs_while_anything_waits(self):
        assert self.running or not self.waiting


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=50, stateful_step_count=25)

arrivals = st.lists(
    st.tuples(
        st.sampled_from("abcd"),  # tenant
        st.integers(1, 990),  # fixed, MB
        st.sampled_from([0.5, 1.0, 2.0, 7.0]),  # cost
        st.integers(0, 3),  # so many of those that run end before the next arrives
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150)
@given(arrivals, st.fixed_dictionaries({tenant: st.floats(0.05, 20) for tenant in "abcd"}), st.randoms())
def test_nobody_starves(arriving, weights, random):
    """Every job that fits alone starts after at most A + PATIENCE others, as `batch_planner` and `fairness` have it."""
    planner = BatchPlanner(1000 * MB)
    started: list[str] = []
    bounds: dict[str, tuple[int, int]] = {}  # started when it came, and how many may go before it

    def follow(decisions):
        for decision in decisions:
            assert decision.kind in ("start", "resize"), decision
            if decision.kind == "start":
                started.append(decision.name)

    def end_one():
        follow(planner.finish(random.choice(sorted(planner.running))))

    for number, (tenant, fixed, cost, ended) in enumerate(arriving):
        name = f"{number:03d}"
        now = planner._fair.now
        _, tag = planner._fair.arrive(tenant, weight=weights[tenant], cost=cost)
        ahead = sum(1 + math.floor((tag - now) * weight / 0.5 + 1e-6) for weight in weights.values())
        bounds[name] = (len(started), ahead + PATIENCE)
        more = {"tenant": tenant, "weight": weights[tenant], "cost": cost, "max_batch": 4}
        follow(planner.submit(job(name, fixed=fixed, image=1, **more)))
        for _ in range(min(ended, len(planner.running))):
            end_one()
    while planner.running:
        end_one()
    assert sorted(started) == sorted(bounds)
    for place, name in enumerate(started):
        before, most = bounds[name]
        assert place - before <= most


@settings(max_examples=60)
@given(st.fixed_dictionaries({tenant: st.integers(1, 9) for tenant in "abc"}))
def test_shares_of_backlogged_tenants_are_their_weights(weights):
    """At any time no further off than one job of each: the bound of start-time fair queueing."""
    planner = BatchPlanner(60 * MB)  # one job at a time
    running = []
    for number in range(60):
        for tenant, weight in weights.items():
            running += planner.submit(job(f"{tenant}{number}", tenant=tenant, weight=float(weight)))
    done = Counter()
    for _ in range(40):
        (name,) = planner.running
        done[name[0]] += 1
        planner.finish(name)
        shares = [done[tenant] / weight for tenant, weight in weights.items()]
        assert max(shares) - min(shares) <= 2 / min(weights.values()) + 1e-9
    assert sum(done.values()) == 40


def test_who_was_idle_gains_nothing_by_it():
    planner = BatchPlanner(60 * MB)
    for number in range(10):
        planner.submit(job(f"a{number}", tenant="a"))
    for _ in range(5):
        planner.finish(next(iter(planner.running)))
    for number in range(5):
        planner.submit(job(f"b{number}", tenant="b"))
    order = []
    while planner.running:
        (name,) = planner.running
        order.append(name[0])
        planner.finish(name)
    assert "bb" not in "".join(order)[:8]


def test_jobs_that_come_take_from_the_batches_of_others_and_give_back():
    planner = BatchPlanner(1000 * MB, aim="memory")
    (first,) = planner.submit(job("a"))
    assert (first.kind, first.batch) == ("start", 158)
    assert kinds(planner.submit(job("b"))) == [("resize", "a"), ("start", "b")]
    assert sum(planner.running.values()) in (149, 150)
    (back,) = planner.finish("b")
    assert (back.kind, back.batch) == ("resize", 158)


def test_what_ran_out_at_its_smallest_batch_comes_back_with_no_larger_one():
    planner = BatchPlanner(200 * MB, aim="memory")
    planner.submit(job("a", fixed=0, image=0))
    planner.submit(job("b", fixed=100, image=1, min_batch=2, max_batch=64))
    planner.out_of_memory("b", 2)
    planner.finish("a")
    assert planner.running == {"b": 2}


def test_running_out_of_memory_halves_then_pauses_then_refuses():
    planner = BatchPlanner(200 * MB, aim="memory")
    planner.submit(job("a", max_batch=4))
    planner.submit(job("b", max_batch=4))
    assert planner.running == {"a": 4, "b": 4}
    planner.out_of_memory("b", 4)
    assert planner.running == {"a": 4, "b": 2}
    planner.out_of_memory("b", 2)
    assert kinds(planner.out_of_memory("b", 1)) == [("pause", "b")]
    assert planner.waiting == ["b"]  # until it can have everything
    assert kinds(planner.finish("a")) == [("start", "b")]
    (refused,) = planner.out_of_memory("b", 1)
    assert refused.kind == "refuse"
    assert "job b ran out of memory alone, at its smallest extraction batch of 1" in refused.reason


def test_what_is_seen_corrects_the_plan():
    planner = BatchPlanner(1000 * MB, aim="memory")
    (start,) = planner.submit(job("a"))
    (smaller,) = planner.observe("a", start.batch, 1100 * MB, 1.0)
    assert smaller.kind == "resize" and smaller.batch < start.batch


def test_an_estimate_gives_way_to_what_is_measured():
    planner = BatchPlanner(940 * MB)
    guess = MemoryModel.fit([(1, 900 * MB), (2, 900 * MB)])
    (first,) = planner.submit(Job(name="a", tenant="a", model=guess, max_batch=1))
    assert (first.kind, first.batch, planner.granted("a")) == ("start", 1, 900 * MB)
    assert planner.submit(Job(name="b", tenant="b", model=guess, max_batch=1)) == []
    curve = ThroughputCurve().observe(1, 1.0).observe(8, 1.0)
    decisions = planner.measured("a", model(50, 6), curve, max_batch=64)
    assert [(d.kind, d.name, d.batch) for d in decisions] == [("resize", "a", 8)]
    assert kinds(planner.measured("b", model(50, 6), curve, max_batch=64)) == [("start", "b")]


def test_among_equal_turns_what_is_loaded_goes_first():
    planner = BatchPlanner(60 * MB)
    for name in "abc":
        planner.submit(job(name))
    planner.loaded({"c"})
    assert kinds(planner.finish("a")) == [("start", "c")]


def test_misuse_is_refused():
    planner = BatchPlanner(1000 * MB)
    planner.submit(job("a"))
    with pytest.raises(UsageError, match="job a is there already"):
        planner.submit(job("a"))
    with pytest.raises(UsageError, match="there is no job b here"):
        planner.finish("b")
