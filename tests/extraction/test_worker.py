"""Many extractions in one worker: what each stores is what it would store alone, whatever happens to the others."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import hapistore as hs
from hapistore.errors import UsageError
from hapistore.extraction import ExtractionWorker, Network, WorkerOptions, extract_jobs, memory
from hapistore.extraction.worker.jobs import JobChecker

# What several of these files use; its operators live in a module that other processes can import too.
sys.path.append(str(Path(__file__).parent))
from fragile_networks import CRASHES
from noise_jobs import PLENTY, fragile, job, rows_of

pytestmark = pytest.mark.usefixtures("children_know_operators")
KILLS = int(os.environ.get("HAPISTORE_KILLS", "4"))


def test_each_stores_what_it_would_alone(store, resnet, vit, tmp_path):
    """Real photographs and networks."""
    networks = {"test/resnet18": resnet, "test/vit": vit}
    report = extract_jobs(store, [job("mixed", network, tenant=name) for name, network in networks.items()], PLENTY)
    assert [(one.state, one.images, one.done) for one in report.jobs] == [("done", 48, 48)] * 2
    assert 0 < report.planned_bytes < report.budget_bytes
    assert 0 < report.peak_bytes <= report.budget_bytes
    ours = {name: rows_of(store, "mixed", name) for name in networks}
    for shard in (tmp_path / "store/features").rglob("*.arrow"):
        shard.unlink()
    for name, network in networks.items():
        hs.extract(store, "mixed", network, codecs=["f32"], options=hs.ExtractOptions(executor="torch"))
        alone = rows_of(store, "mixed", name)
        assert sorted(ours[name]) == sorted(alone) == list(range(48))
        largest = max(np.abs(row).max() for row in alone.values())
        assert max(np.abs(ours[name][row] - alone[row]).max() for row in alone) <= 1e-4 * largest


def test_loaded_networks_stay_and_share_their_decoding(noise):
    store, write = noise
    pixels = write("few", 2), write("many", 48)
    networks = [fragile(gain, pause_s=0.1) for gain in (1.0, 2.0)]
    with ExtractionWorker(store, PLENTY) as worker:
        worker.submit([job("few", network, max_batch=2) for network in networks])
        first = worker.wait()
        worker.submit([job("many", network, max_batch=2) for network in networks])
        report = worker.wait()
    assert [one.state for one in report.jobs] == ["done"] * 4
    assert (report.most_running, report.evicted) == (2, 0)
    assert {one.recipe for one in report.jobs} == {"fragile:output"}
    assert report.taken - first.taken == 96
    assert 48 <= report.decoded - first.decoded < 80
    for one, gain in zip(report.jobs[2:], (1.0, 2.0), strict=True):
        assert one.loading_s < report.jobs[0].loading_s / 2
        rows = rows_of(store, "many", one.result.recipe.digest)
        assert sorted(rows) == list(range(48))
        for row, features in rows.items():
            np.testing.assert_allclose(features, gain * pixels[1][row].mean(axis=(0, 1)), rtol=1e-5)


def test_a_bad_image_costs_its_row_and_nobody_else(noise):
    store, write = noise
    pixels = write("good", 7), write("crashing", 9, magic={0: CRASHES})  # the first, which networks are measured with
    report = extract_jobs(store, [job("crashing", fragile()), job("good", fragile())], PLENTY)
    assert [one.state for one in report.jobs] == ["done", "done"]
    assert report.jobs[1].result.left_out == ()
    assert [(image.key, image.reason) for image in report.jobs[0].result.left_out] == [("0000/0000.png", "crashed")]
    assert report.jobs[0].restarts >= 1
    for dataset, images in zip(("good", "crashing"), pixels, strict=True):
        rows = rows_of(store, dataset, "fragile")
        assert sorted(rows) == [row for row in range(len(images)) if (dataset, row) != ("crashing", 0)]
        for row, features in rows.items():
            np.testing.assert_allclose(features, 1.5 * images[row].mean(axis=(0, 1)), rtol=1e-5)


def test_kills_cost_no_row(noise):
    store, write = noise
    count = 40 * KILLS
    pixels = write("many", count)
    killed: set[int] = set()
    source = random.Random(3)
    with ExtractionWorker(store, PLENTY) as worker:

        def kill() -> None:
            """Every fourth child while it starts or soon after, the others at work."""
            ready = 0
            while len(killed) < KILLS and not worker.stopping:
                time.sleep(0.005)
                loaded = next((active.loaded for active in list(worker._jobs.values())), None)
                at_work = len(killed) % 4 != 3
                if loaded is None or (at_work and loaded.executor.restarts < ready):
                    continue
                time.sleep(source.uniform(0.05, 0.8 if at_work else 3))
                executor = loaded.executor
                if executor.pid not in killed and executor._child.alive:
                    killed.add(executor.pid)
                    ready = executor.restarts + 1
                    os.kill(executor.pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        worker.submit([job("many", fragile(pause_s=0.05), max_batch=4)])
        report = worker.wait()
        worker.stopping = True
        thread.join()
    (one,) = report.jobs
    assert (one.state, one.reason) == ("done", "")
    assert one.result.left_out == ()
    assert len(killed) == KILLS
    assert one.restarts >= KILLS // 2  # those that were killed before they were ready are not counted
    rows = rows_of(store, "many", "fragile")
    assert sorted(rows) == list(range(count))
    for row, features in rows.items():
        np.testing.assert_allclose(features, 1.5 * pixels[row].mean(axis=(0, 1)), rtol=1e-5)


def test_stopped_and_run_again_only_what_is_missing_is_done(noise):
    store, write = noise
    write("many", 60)
    seen = threading.Event()
    slow = job("many", fragile(pause_s=0.2), max_batch=2, name="slow")

    def watch(report) -> None:
        if report.name == "slow" and report.done > 12:
            seen.set()

    with ExtractionWorker(store, PLENTY, on_progress=watch) as worker:
        worker.submit([slow, job("many", fragile(2.0))])
        assert seen.wait(120)
    report = worker.report()
    assert report.jobs[0].state == "stopped"
    assert hs.verify_store(store).damaged == []
    again = extract_jobs(store, [job("many", fragile(pause_s=0.0), max_batch=2), job("many", fragile(2.0))], PLENTY)
    assert [one.state for one in again.jobs] == ["done", "done"]
    assert 0 < again.jobs[0].images < 60
    third = extract_jobs(store, [job("many", fragile()), job("many", fragile(2.0))], PLENTY)
    assert [(one.state, one.images, one.done) for one in third.jobs] == [("done", 0, 60)] * 2


def test_a_budget_for_one_runs_one_after_the_other_and_a_smaller_one_none(noise):
    store, write = noise
    write("good", 7)
    jobs = [job("good", fragile(gain), tenant=f"t{gain}") for gain in (1.0, 2.0, 3.0)]
    tight = WorkerOptions(memory_bytes=memory.resident_bytes() + (700 << 20), decode_threads=1)
    report = extract_jobs(store, jobs, tight)
    assert [one.state for one in report.jobs] == ["done"] * 3, [one.reason for one in report.jobs]
    assert report.planned_bytes < report.budget_bytes
    assert report.evicted >= 2
    assert sorted(one.deferred_s > 0.5 for one in report.jobs) == [False, True, True]

    none = extract_jobs(store, [job("good", fragile(4.0))], WorkerOptions(memory_bytes=100 << 20))
    (refused,) = none.jobs
    assert refused.state == "refused"
    assert "give --memory of at least" in refused.reason and "this process takes" in refused.reason
    assert refused.images == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "mixes"}, r"jobs.toml, line 7, field dataset: .*did you mean mixed"),
        ({"codecs": ("u9c",)}, r"jobs.toml, line 7, field codec: .*none of f32"),
        ({"executor": "abacus"}, r"jobs.toml, line 7, field executor: 'abacus' is none of auto"),
        ({"precision": "f8"}, r"jobs.toml, line 7, field backbone: precision 'f8' is none of f32, bf16"),
        ({"network": Network(backbone="efficientnet_lite9")}, r"jobs.toml, line 7, field backbone: no backbone"),
        ({"weight": 0.0}, r"jobs.toml, line 7, fields max-batch, weight"),
        ({"name": "first"}, r"jobs.toml, line 7, field name: 'first' is another job's"),
    ],
)
def test_one_that_cannot_be_refuses_all(store, change, message):
    before = sorted(info.name for info in store.list(""))
    good = job("mixed", fragile(), name="first")
    with pytest.raises(UsageError, match=message):
        extract_jobs(
            store, [good, job(**{"dataset": "mixed", "network": fragile(), "where": "jobs.toml, line 7", **change})]
        )
    assert sorted(info.name for info in store.list("")) == before


def test_jobs_that_were_turned_down_leave_their_names_to_others(store):
    checker = JobChecker(store)
    good = job("mixed", fragile(), name="first")
    with pytest.raises(UsageError):
        checker.check([good, job("mixes", fragile(), name="second")])
    assert [one.name for one in checker.check([good])] == ["first"]
    with pytest.raises(UsageError, match="'first' is another job's"):
        checker.check([good])
