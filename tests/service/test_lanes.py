"""What is wanted of a worker: each shard once, tenants in turn, nobody left waiting for what never comes."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from hapistore.catalog.features import ShardFeatures
from hapistore.errors import HapistoreError, TransientError, UsageError
from hapistore.extraction import JobReport
from hapistore.service.lanes import Lanes
from hapistore.service.making import Wish
from hapistore.service.tenancy.tenants import Tenant
from hapistore_format import DatasetVersion, FeatureShardReader, MissingRow, Recipe, ShardRef

ROWS = 100
SHARDS = tuple(
    ShardRef(images=f"{number:064x}", annotations="1" * 64, layout="arrow", rows=ROWS, bytes=1000)
    for number in range(40)
)
VERSION = DatasetVersion(dataset="d", number=1, shards=SHARDS, created="2026-11-26T00:00:00Z")
RECIPE = Recipe(architecture="net", weights="2" * 64, cut="pool", preprocess={}, shape=(3,))
FEATURES = np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)


class Worker:
    """Takes jobs, and does them when it is told to."""

    def __init__(self) -> None:
        self.jobs, self.cancelled = [], []
        self.came = threading.Condition()
        self.refuses: Exception | None = None

    def submit(self, jobs) -> None:
        if self.refuses:
            raise self.refuses
        with self.came:
            self.jobs += jobs
            self.came.notify_all()

    def cancel(self, name: str) -> None:
        self.cancelled.append(name)

    def next(self):
        with self.came:
            assert self.came.wait_for(lambda: self.jobs, timeout=30)
            return self.jobs.pop(0)


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def lanes(worker):
    found = Lanes(worker, network=lambda digest: digest)
    yield found
    found.close()


def wish(number: int, tenant: str = "a", **more) -> Wish:
    plain = {"version": VERSION, "shard": SHARDS[number], "plain": RECIPE, "augmentation": None}
    return Wish(tenant=Tenant(name=tenant), **{**plain, "codec": "f32", "keep": True, **more})


def do(lanes: Lanes, job, *, missing: tuple[MissingRow, ...] = (), state: str = "done", reason: str = "") -> None:
    """What a worker does of a job."""
    for shard in job.dataset.shards:
        if state == "done":
            job.sink.begin(shard)
            for rows in (range(50, ROWS), range(50)):  # in any order
                job.sink.rows(shard, list(rows), FEATURES[list(rows)])
            job.sink.finished(shard, ShardFeatures(FEATURES, missing))
            if job.keep:
                job.sink.stored(shard, {})
    report = JobReport(name=job.name, dataset="d@1", recipe="net:pool", tenant=job.tenant, state=state, reason=reason)
    lanes.progressed(report)


def test_a_shard_is_made_once_for_all_who_want_it(lanes, worker):
    with ExitStack() as stack:
        makings = [stack.enter_context(lanes.asking(wish(0, tenant))) for tenant in "abc"]
        assert makings[1] is makings[0] and makings[2] is makings[0]
        do(lanes, worker.next())
        assert makings[0].ended
        makings[0].check()
    assert (lanes.counts.asked, lanes.counts.shared, lanes.counts.shards) == (3, 2, 1)
    assert lanes.idle and not worker.jobs
    with lanes.asking(wish(0)):  # it is gone from the store again
        assert worker.next().dataset.shards == (SHARDS[0],)


def test_tenants_have_their_turns_and_jobs_are_small(lanes, worker):
    whose = {}
    with ExitStack() as stack:
        for number in range(23):
            tenant = "many" if number < 20 else "few"
            stack.enter_context(lanes.asking(wish(number, tenant)))
            whose[SHARDS[number].images] = tenant
        order = []
        while len(order) < 23:
            job = worker.next()
            assert len(job.dataset.shards) * ROWS <= 512
            order += [whose[shard.images] for shard in job.dataset.shards]
            do(lanes, job)
        assert order.index("few") < 3  # not behind all of the other's
        assert order.count("few") == 3


def test_a_job_is_of_all_who_wait_for_its_network_and_are_alike(lanes, worker):
    other = replace(VERSION, dataset="e", number=4)
    with ExitStack() as stack:
        stack.enter_context(lanes.asking(wish(0)))
        first = worker.next()
        makings = [
            stack.enter_context(lanes.asking(one))
            for one in (
                wish(1, "a"),
                wish(2, "b", version=other),
                wish(3, "c", codec="f16"),
                replace(wish(4), tenant=Tenant(name="d", memory_bytes=1 << 30)),
            )
        ]
        do(lanes, first)
        jobs = [worker.next()]
        while not all(making.ended for making in makings):
            do(lanes, jobs[-1])
            if not all(making.ended for making in makings):
                jobs.append(worker.next())
        assert [job.dataset.shards for job in jobs] == [
            (SHARDS[2], SHARDS[1]),
            (SHARDS[3],),
            (SHARDS[4],),
        ]  # "a" had its turn
        assert [job.memory_bytes for job in jobs] == [None, None, 1 << 30]
        for making in makings:
            making.check()


def test_lanes_weigh_as_much_as_those_who_wait_in_them(lanes, worker):
    second = replace(RECIPE, cut="map")
    heavy = [Tenant(name=name, weight=2.0) for name in "abc"]
    with ExitStack() as stack:
        running = []
        for number, plain in enumerate((RECIPE, second)):
            stack.enter_context(lanes.asking(wish(number, "first", plain=plain)))
            running.append(worker.next())
        assert [job.weight for job in running] == [1.0, 0.5]  # who waits in two lanes has half in each
        for tenant in heavy:
            stack.enter_context(lanes.asking(replace(wish(10), tenant=tenant)))  # all of them one shard
        stack.enter_context(lanes.asking(replace(wish(11, plain=second), tenant=heavy[0])))
        found = []
        for job in running:
            do(lanes, job)
            found.append(worker.next())
        assert [job.tenant for job in found] == [RECIPE.digest, second.digest]
        assert [job.weight for job in found] == [5.0, 1.0]


def test_rows_come_in_order_and_those_without_features_are_named(lanes, worker):
    with lanes.asking(wish(0, keep=False, rows=True)) as making:
        job = worker.next()
        shard = SHARDS[0]
        job.sink.begin(shard)
        job.sink.rows(shard, [2, 0], FEATURES[[2, 0]])
        features, missing = making.take(0, 10)
        np.testing.assert_array_equal(features, FEATURES[:1])
        assert len(making.take(1, 10)[0]) == 0
        job.sink.begin(shard)  # after a pause, rows come again
        job.sink.rows(shard, [0, 1, 2], FEATURES[[0, 1, 2]])
        assert len(making.take(1, 10)[0]) == 2
        job.sink.rows(shard, list(range(4, ROWS)), FEATURES[4:])
        job.sink.finished(shard, ShardFeatures(FEATURES, (MissingRow(3, "undecodable"),)))
        features, missing = making.take(1, 10)
        assert (len(features), missing) == (10, [3])
        assert making.ended
        reader = FeatureShardReader(making.encoded("f32"), where="x")
        assert [row.row for row in reader.missing] == [3]
        np.testing.assert_array_equal(np.delete(reader.features(), 3, 0), np.delete(FEATURES, 3, 0))


def test_streamed_features_are_there_for_a_moment_longer(lanes, worker):
    with lanes.asking(wish(0, keep=False)) as making:
        do(lanes, worker.next())
    with lanes.asking(wish(0, keep=False)) as again:
        assert again is making
    assert not worker.jobs


@pytest.mark.parametrize(
    ("state", "reason", "error"),
    [("failed", "bad", HapistoreError), ("refused", "too large", HapistoreError), ("stopped", "", TransientError)],
)
def test_a_job_that_fails_is_told_and_may_be_tried_again(lanes, worker, state, reason, error):
    for _ in range(2):
        with lanes.asking(wish(0)) as making:
            do(lanes, worker.next(), state=state, reason=reason)
            with pytest.raises(error, match=reason or "stopped"):
                making.check()
    assert lanes.counts.failed == 2


def test_a_job_that_cannot_be_submitted_is_told(lanes, worker):
    for error, text in ((UsageError("no such network"), "no such network"), (ZeroDivisionError(), "see its log")):
        worker.refuses = error
        with lanes.asking(wish(0)) as making:
            making.wait(30)
            with pytest.raises(HapistoreError, match=text):
                making.check()


def test_what_nobody_waits_for_is_not_begun(lanes, worker):
    with lanes.asking(wish(0)), ExitStack() as stack:
        running = worker.next()
        for number in range(1, 9):
            stack.enter_context(lanes.asking(wish(number, "gone")))
        with lanes.asking(wish(9)):
            stack.close()
            do(lanes, running)
            assert worker.next().dataset.shards == (SHARDS[9],)


def test_streaming_that_nobody_waits_for_is_stopped(lanes, worker):
    with lanes.asking(wish(0, keep=False)):
        job = worker.next()
    lanes._submitters.submit(int).result()
    assert worker.cancelled == [job.name]


def test_a_tenant_takes_back_its_own(lanes, worker):
    with ExitStack() as stack:
        stack.enter_context(lanes.asking(wish(0)))
        worker.next()
        mine = stack.enter_context(lanes.asking(wish(1, "me")))
        both = [stack.enter_context(lanes.asking(wish(2, tenant))) for tenant in ("me", "you")]
        assert lanes.cancel("me", "d@1", RECIPE.digest) == 1
        with pytest.raises(UsageError, match="cancelled"):
            mine.check()
        assert not both[0].ended


def test_nobody_waits_for_a_service_that_ends(lanes, worker):
    with lanes.asking(wish(0)) as making:
        lanes.close()
        with pytest.raises(TransientError, match="about to end"):
            making.check()
    with pytest.raises(TransientError, match="about to end"), lanes.asking(wish(1)):
        pass
