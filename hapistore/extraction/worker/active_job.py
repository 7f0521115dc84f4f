"""A job of a worker between its start and its end: the memory it holds, its prefix, what is told of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np

from hapistore_format import ShardRef

from ...planning import MemoryModel, ThroughputCurve
from ...stores import ObjectStore
from ..filling import extract_recipes
from ..options import ExtractOptions, ExtractResult
from ..profiles import ExtractionProfile
from .job_reports import JobReport
from .job_run import Paused, SharedEngine, Stopped
from .jobs import CheckedJob
from .loading import Loaded, Loader, host_model
from .residency import Residency
from .shared_pixels import WINDOW_BYTES, PixelHub
from .told import Told
from .turns import Turns

_SAMPLE, _MOST_LOOKED_AT = 4, 64
# Before anything is known of a prefix, an image's share of turns.
_GUESSED_S = 0.05


class Surroundings(Protocol):
    """The worker, as its jobs see it."""

    store: ObjectStore
    hub: PixelHub
    loader: Loader
    turns: Turns
    stopping: bool

    def look(self) -> None: ...
    def progressed(self, job: ActiveJob) -> None: ...


class Planning(Protocol):
    """The schedule, as its jobs see it: events in, ``ActiveJob.allowed`` changes."""

    residency: Residency

    def granted(self, job: ActiveJob) -> int: ...
    def measured(self, job: ActiveJob, profile: ExtractionProfile) -> None: ...
    def observed(self, job: ActiveJob, rows: int, peak_bytes: int, seconds: float) -> None: ...
    def out_of_memory(self, job: ActiveJob, rows: int) -> None: ...
    def rebase(self) -> None: ...


class ActiveJob:
    """The `JobMaster` of one job.

    Attributes:
        allowed: images of an extraction batch, as the plan has it; 0: it is to wait.
        guessed: whether the plan knows its memory by an estimate only.
        thread: that runs it now. cancelled: whether it is to end.
        sink: who is told of its features.
    """

    def __init__(self, checked: CheckedJob, worker: Surroundings, schedule: Planning, began: float) -> None:
        self.checked, self._worker, self._schedule, self._began = checked, worker, schedule, began
        self.name = checked.name
        self.allowed = 0
        self.guessed = True
        self.thread: threading.Thread | None = None
        self.cancelled = False
        self.sink = Told(checked.job.sink)
        self.host_bytes, self.host_bytes_per_image = host_model(checked, WINDOW_BYTES)
        self.loaded: Loaded | None = None
        self.waiting_since = began
        self._held = self._usable = 0
        self._restarts_before = 0
        self._profile: ExtractionProfile | None = None
        self.report = JobReport(
            name=checked.name,
            dataset=checked.version.label,
            recipe=checked.recipe.label,
            tenant=checked.job.tenant,
            total=checked.version.rows,
        )

    @property
    def hub(self) -> PixelHub:
        """Where pixels come from."""
        return self._worker.hub

    def model_of(self, profile: ExtractionProfile) -> MemoryModel:
        """Of all that it takes: the child's, and its part of this process."""
        return profile.model.plus(self.host_bytes, self.host_bytes_per_image)

    def extract(self) -> ExtractResult:
        """Run to the end.

        Raises:
            Paused, Stopped: before that.
            HapistoreError: it cannot be done.
        """
        checked = self.checked
        job = checked.job
        version = checked.version if job.keep else self.sink.rest(checked.version)
        before = checked.version.rows - version.rows
        result = extract_recipes(
            self._worker.store,
            version,
            [checked.recipe],
            SharedEngine(checked, self),
            codecs=job.codecs,
            max_error=checked.max_error,
            options=ExtractOptions(precision=job.precision, retry_bad=job.retry_bad, max_batch=job.max_batch),
            on_progress=lambda done, total: self._progressed(before + done),
            keep=job.keep,
            sink=self.sink,
        )
        self._worker.loader.keep_registered(checked)
        return replace(result, version=checked.version)

    def let_go(self, *, keep: bool) -> None:
        """Give its memory back; the prefix stays loaded while there is room, if it is to be kept."""
        loaded, self.loaded = self.loaded, None
        self._held = self._usable = 0
        if loaded is None:
            self._schedule.residency.release(self.name)
            return
        self.report.restarts += loaded.executor.restarts - self._restarts_before
        if self._profile:
            self._worker.loader.keep(self.checked, self._profile)
        if keep:
            key, idle = self._worker.loader.key(self.checked), loaded.executor.child_idle_bytes
            self._schedule.residency.keep(self.name, key, loaded, idle)
        else:
            loaded.close()
            self._schedule.residency.release(self.name)

    def check(self) -> None:
        if self._worker.stopping or self.cancelled:
            raise Stopped
        if not self.allowed:
            raise Paused

    def batch(self) -> int:
        if self.allowed > self._usable:
            granted = self._schedule.granted(self)
            if self._schedule.residency.hold(self.name, max(granted, self._held)):
                self._held = max(granted, self._held)
                self._usable = self.allowed
        return max(1, min(self._usable, self.allowed))

    def load(self, shard: ShardRef) -> Loaded:
        worker, schedule, checked = self._worker, self._schedule, self.checked
        self._hold_granted()
        began = time.monotonic()
        loaded = self.loaded = self._take() or worker.loader.load(checked, partial(self._sample, shard), self._take)
        worker.loader.keep_registered(checked)  # before any of its features
        self._restarts_before = loaded.executor.restarts
        self.report.executor = loaded.choice.label
        schedule.rebase()
        profile = worker.loader.profile(checked)
        if profile is None:
            room = schedule.granted(self) - self.host_bytes
            black = np.zeros(checked.preprocess.pixel_shape, np.uint8)
            profile = worker.loader.measure(checked, loaded, [*self._sample(shard), black], room)
        self._profile = profile
        if self.guessed:
            schedule.measured(self, profile)
        self.report.loading_s += time.monotonic() - began
        self._hold_granted()
        return loaded

    @contextmanager
    def turn(self, rows: int) -> Iterator[None]:
        self.check()
        self._shrink()
        curve = self._profile.curve if self._profile else ThroughputCurve()
        seconds = rows / curve.rate(rows) if curve.rate(rows) else rows * _GUESSED_S
        job = self.checked.job
        with self._worker.turns.turn(job.tenant, weight=job.weight, seconds=seconds, check=self.check):
            yield

    def passed(self, rows: int, seconds: float) -> None:
        assert self.loaded is not None
        executor, report = self.loaded.executor, self.report
        own = self.host_bytes + rows * self.host_bytes_per_image
        peak = executor.child_peak_bytes
        report.images += rows
        report.peak_bytes = max(report.peak_bytes, peak + own)
        if not report.batches or report.batches[-1][1] != self._usable:
            report.batches.append((round(time.monotonic() - self._began, 2), self._usable))
        self._worker.look()
        is_its_own = rows >= max(self.loaded.largest, self.allowed)
        self.loaded.largest = max(self.loaded.largest, rows)
        if not is_its_own:
            return  # memory of a larger one is still there, or it is the short one at a shard's end
        if self._profile:
            model, curve = self._profile.model.observe(rows, peak), self._profile.curve.observe(rows, seconds)
            self._profile = ExtractionProfile(model=model, curve=curve)
        self._schedule.observed(self, rows, peak + own, seconds)

    def out_of_memory(self, rows: int) -> None:
        if self._profile:
            self._profile = replace(self._profile, model=self._profile.model.out_of_memory())
        if self.loaded:
            self.loaded.largest = 0
        self._schedule.out_of_memory(self, rows)

    def _sample(self, shard: ShardRef) -> list[np.ndarray]:
        return self._worker.hub.sample(shard, self.checked.preprocess, _SAMPLE, _MOST_LOOKED_AT)

    def _take(self) -> Loaded | None:
        """What another job has left loaded; asked again when its turn to load comes, which may take long."""
        self.check()
        kept = self._schedule.residency.take(self._worker.loader.key(self.checked))
        assert kept is None or isinstance(kept, Loaded)
        return kept

    def _hold_granted(self) -> None:
        """Wait for the memory of its plan, which may change meanwhile."""
        while True:
            self.check()
            granted = self._schedule.granted(self)
            self._schedule.residency.hold(self.name, granted, check=self.check)
            self._held, self._usable = granted, self.allowed
            if self._schedule.granted(self) <= granted:
                return

    def _shrink(self) -> None:
        """Give back what the plan does not allow any more: for that its process must end, if it ran larger batches."""
        granted = self._schedule.granted(self)
        if self.loaded is None or granted >= self._held or not granted:
            return
        grown = self.loaded.largest > self.allowed
        if grown and not self._schedule.residency.wanted:
            return
        if grown:
            self.loaded.shrink()
        self._schedule.residency.hold(self.name, granted)
        self._held, self._usable = granted, self.allowed

    def _progressed(self, done: int) -> None:
        self.report.done = done
        self._worker.progressed(self)
        if not self.checked.to_run:  # nobody else asks
            self.check()
