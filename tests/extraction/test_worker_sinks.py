"""What sinks of a worker's jobs are told, and a worker that lives long: cancelling, forgetting, going on."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hapistore.catalog import resolve_version
from hapistore.catalog.names import features_name
from hapistore.errors import HapistoreError, UsageError
from hapistore.extraction import ExtractionWorker, WorkerOptions, memory
from hapistore.extraction.worker.active_job import ActiveJob
from hapistore.extraction.worker.job_run import Paused

# What several of these files use; its operators live in a module that other processes can import too.
sys.path.append(str(Path(__file__).parent))
from fragile_networks import RAISES
from noise_jobs import PLENTY, fragile, job

pytestmark = pytest.mark.usefixtures("children_know_operators")
LONG_LIVED = replace(PLENTY, keep_reports=False, isolate=True)


class Recorder:
    """Keeps all that it is told, and may raise where it is told so."""

    def __init__(self, raising: Exception | None = None) -> None:
        self.events: list[tuple[str, str]] = []
        self.features: dict[tuple[str, int], np.ndarray] = {}
        self.missing: dict[str, list[tuple[int, str]]] = {}
        self.made: dict[str, dict[str, bytes]] = {}
        self.began = threading.Event()
        self._raising = raising

    def begin(self, shard):
        self.events.append(("begin", shard.images))

    def rows(self, shard, rows, features):
        self.events.append(("rows", shard.images))
        assert features.dtype == np.float32
        for row, values in zip(rows, features, strict=True):
            assert (shard.images, row) not in self.features
            self.features[shard.images, row] = values.copy()
        self.began.set()

    def finished(self, shard, features):
        self.events.append(("finished", shard.images))
        self.missing[shard.images] = [tuple(row) for row in features.missing]
        for row in {*range(shard.rows)} - {row for row, _ in features.missing}:
            np.testing.assert_array_equal(features.values[row], self.features[shard.images, row])

    def stored(self, shard, made):
        if self._raising:
            raise self._raising
        self.made[shard.images] = {codec: bytes(data) for codec, data in made.items()}
        self.events.append(("stored", shard.images))

    def of(self, images: str) -> list[str]:
        """What was told of a shard, batches once."""
        told = [kind for kind, shard in self.events if shard == images]
        return [kind for n, kind in enumerate(told) if n == 0 or told[n - 1] != kind]


class Watch:
    """A worker's ``on_progress``: how each job ended, by name."""

    def __init__(self) -> None:
        self.ended: dict[str, list] = {}
        self._changed = threading.Condition()

    def __call__(self, report):
        if report.ended:
            with self._changed:
                self.ended.setdefault(report.name, []).append((report.state, report.reason))
                self._changed.notify_all()

    def wait(self, name: str) -> tuple[str, str]:
        with self._changed:
            assert self._changed.wait_for(lambda: name in self.ended, 120)
            (only,) = self.ended[name]
            return only


def names(store) -> list[str]:
    return sorted(info.name for info in store.list(""))


def test_a_sink_is_told_every_row_and_a_job_that_keeps_nothing_writes_nothing(noise):
    store, write = noise
    pixels = write("good", 9, magic={4: RAISES})
    shards = resolve_version(store, "good").shards
    expected = iter(1.5 * pixels.mean(axis=(1, 2)))
    by_row = {(shard.images, row): next(expected) for shard in shards for row in range(shard.rows)}
    bad = list(by_row)[4]
    before = names(store)
    unkept, kept, again, third = (Recorder() for _ in range(4))
    with ExtractionWorker(store, PLENTY) as worker:
        network = fragile()
        worker.submit([job("good", network, keep=False, sink=unkept)])
        (first,) = worker.wait().jobs
        assert names(store) == before
        worker.submit([job("good", network, codecs=("f32", "u8c+zstd"), sink=kept)])
        worker.wait()
        after = names(store)
        worker.submit([job("good", network, codecs=("f32", "u8c+zstd"), sink=again)])
        worker.wait()
        worker.submit([job("good", network, keep=False, sink=third)])
        report = worker.wait()
    assert [(one.state, one.done) for one in report.jobs] == [("done", 9)] * 4
    assert [one.images for one in report.jobs] == [8, 8, 0, 8]
    assert names(store) == after
    assert {name.split("/")[0] for name in set(after) - set(before)} == {"features", "recipes", "models"}
    assert [(image.images, image.row, image.reason) for image in first.result.left_out] == [(*bad, "failed")]
    assert first.result.codecs == ()
    for sink in (unkept, kept, third):
        assert sorted(sink.features) == sorted(set(by_row) - {bad})
        for at, features in sink.features.items():
            np.testing.assert_allclose(features, by_row[at], rtol=1e-5)
        lacking = {images: rows for images, rows in sink.missing.items() if rows}
        assert lacking == {bad[0]: [(bad[1], "failed")]}
    for shard in shards:
        assert unkept.of(shard.images) == third.of(shard.images) == ["begin", "rows", "finished"]
        assert kept.of(shard.images) == ["begin", "rows", "finished", "stored"]
        recipe, codecs = report.jobs[1].result.recipe.digest, ("f32", "u8c+zstd")
        in_store = {codec: bytes(store.get(features_name(recipe, codec, shard.images))) for codec in codecs}
        assert kept.made[shard.images] == in_store and again.made[shard.images] == {}
        assert again.of(shard.images) == ["stored"]


def test_what_is_made_of_another_codec_is_told_as_stored_and_errors_of_sinks_fail_their_jobs_only(noise, caplog):
    store, write = noise
    write("good", 6)
    shards = [shard.images for shard in resolve_version(store, "good").shards]
    network, watch, transcoded = fragile(), Watch(), Recorder()
    with ExtractionWorker(store, LONG_LIVED, on_progress=watch) as worker:
        worker.submit([job("good", network, name="first")])
        assert watch.wait("first") == ("done", "")
        worker.submit([job("good", network, name="second", codecs=("u8c+zstd",), sink=transcoded)])
        assert watch.wait("second") == ("done", "")
        assert transcoded.events == [("stored", images) for images in shards]
        worker.submit([job("good", network, name="full", sink=Recorder(HapistoreError("the queue is full")))])
        assert watch.wait("full") == ("failed", "the queue is full")
        worker.submit([job("good", network, name="broken", sink=Recorder(ValueError("no such client")))])
        state, reason = watch.wait("broken")
        assert state == "failed" and "ValueError: no such client" in reason
        assert "Traceback" in caplog.text and "no such client" in caplog.text
        assert worker.running and worker.broken is None
        while worker.report().jobs:  # forgotten a moment after it was told
            pass
        worker.submit([job("good", network, name="first")])  # its name is free again
        worker.wait()
        assert watch.ended["first"] == [("done", "")] * 2
    with ExtractionWorker(store, PLENTY) as worker:
        worker.submit([job("good", network, sink=Recorder(ValueError("no such client")))])
        with pytest.raises(ValueError, match="no such client"):
            worker.wait()
        assert isinstance(worker.broken, ValueError) and not worker.running
        with pytest.raises(UsageError, match="takes no more jobs"):
            worker.submit([job("good", network)])


def test_cancelled_where_it_runs_and_where_it_waits(noise):
    store, write = noise
    write("many", 60)
    tight = replace(LONG_LIVED, memory_bytes=memory.resident_bytes() + (700 << 20), decode_threads=1)
    sink, watch = Recorder(), Watch()
    with ExtractionWorker(store, tight, on_progress=watch) as worker:
        worker.submit([job("many", fragile(pause_s=0.2), max_batch=2, name="runs", sink=sink)])
        assert sink.began.wait(120)
        worker.submit([job("many", fragile(2.0), name="waits", tenant="other")])
        assert [one.state for one in worker.report().jobs] == ["running", "waiting"]
        worker.cancel("waits")
        assert watch.wait("waits") == ("stopped", "")
        assert "runs" not in watch.ended
        worker.cancel("runs")
        assert watch.wait("runs") == ("stopped", "")
        worker.wait()
        assert worker.report().jobs == ()
        with pytest.raises(UsageError, match="no job 'runs'"):
            worker.cancel("runs")
    assert 0 < len(sink.features) < 60


@pytest.mark.parametrize("keep", [True, False])
def test_after_a_pause_a_shard_begins_again_and_no_other(noise, monkeypatch, keep):
    store, write = noise
    write("many", 15)
    shards = [shard.images for shard in resolve_version(store, "many").shards]
    assert len(shards) > 2
    sink = Recorder()
    check = ActiveJob.check
    paused = []

    def pause_once(self):
        check(self)
        if not paused and sink.of(shards[1])[-1:] == ["rows"]:
            paused.append(True)
            sink.features = {at: row for at, row in sink.features.items() if at[0] != shards[1]}
            raise Paused

    monkeypatch.setattr(ActiveJob, "check", pause_once)
    with ExtractionWorker(store, PLENTY) as worker:
        worker.submit([job("many", fragile(), max_batch=1, keep=keep, sink=sink)])
        (one,) = worker.wait().jobs
    assert paused
    assert (one.state, one.done, one.total) == ("done", 15, 15)
    assert len(sink.features) == 15
    counts = Counter(sink.events)
    for number, images in enumerate(shards):
        assert counts["begin", images] == (2 if number == 1 else 1)
        assert counts["finished", images] == 1
        # Kept, it may be told once more, as one that is there.
        assert (counts["stored", images] >= 1) == keep


def test_a_refused_job_is_told_and_forgotten(noise):
    store, write = noise
    write("good", 3)
    watch = Watch()
    options = WorkerOptions(memory_bytes=100 << 20, keep_reports=False)
    with ExtractionWorker(store, options, on_progress=watch) as worker:
        worker.submit([job("good", fragile(), name="one")])
        state, reason = watch.wait("one")
        worker.wait()
    assert state == "refused" and "this process takes" in reason
