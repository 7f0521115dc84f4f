"""The verb: features of every image shard that has none yet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hapistore_format import DatasetVersion, Recipe, get_codec

from ..catalog import register_recipe, require_store, resolve_version
from ..catalog.codec_choice import AUTO, CodecChoice, check_max_error, choose_codec, find_choice, replace_auto
from ..catalog.features import FeatureTask, list_tasks, store_features
from ..catalog.recipes import keep_registered
from ..errors import UsageError
from ..models import Prefix
from ..stores import ObjectStore
from .executors import ExecutorChoice
from .forwarding import Forward
from .recipes import recipe_of
from .storing import FeatureStoring
from .trace import Trace

DEFAULT_CODEC = "u8c+zstd"


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """How to extract. Only the precision decides what features are; the rest, how they are made.

    Attributes:
        memory_bytes: what the process (on a GPU: the device) may occupy at its peak; default 80 % of what is free.
        max_batch: largest extraction batch.
        precision: ``f32`` or ``bf16``, part of the recipe.
        executor: ``auto``, ``torch``, ``inductor``, ``onnx`` or ``openvino``; device: a torch device.
        decode_threads: how many images are decoded at once.
        trace: a file for a trace viewer, to be written at the end: what every thread did when.
    """

    memory_bytes: int | None = None
    max_batch: int = 256
    precision: str = "f32"
    executor: str = "auto"
    device: str | None = None
    decode_threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    trace: Path | None = None

    def __post_init__(self) -> None:
        if self.max_batch < 1 or self.decode_threads < 1:
            raise UsageError("the extraction batch and the number of decoding threads are at least 1")


@dataclass(frozen=True, kw_only=True)
class ExtractResult:
    """What an extraction did.

    Attributes:
        extracted, transcoded, present: image shards run through the network, made from another codec, or done before.
        images: rows run through the network.
        batch: extraction batch it settled on; peak_bytes: highest memory use.
        stage_seconds: what each stage took, all threads together.
        executor_choice: what ran the network, and why; None where nothing had to run. executor: its name for people.
        choice: how the codec ``auto`` chose; None where it was not asked for.
    """

    version: DatasetVersion
    recipe: Recipe
    codecs: tuple[str, ...]
    extracted: int
    transcoded: int
    present: int
    images: int
    executor: str
    batch: int
    peak_bytes: int
    seconds: float
    stage_seconds: dict[str, float]
    choice: CodecChoice | None = None
    executor_choice: ExecutorChoice | None = None


def extract(
    store: ObjectStore,
    dataset: str,
    prefix: Prefix,
    *,
    codecs: Sequence[str] = (DEFAULT_CODEC,),
    max_error: float | None = None,
    options: ExtractOptions | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ExtractResult:
    """Compute and store the features of a dataset's images, where they are not stored yet.

    Stopped at any moment, the next run does only what is missing. A codec is made from a lossless one of
    the same recipe where there is one, without the network.

    Args:
        dataset: ``pets`` or ``pets@7``.
        prefix: the frozen part of a network, from ``load_backbone(…).prefix(cut)``.
        codecs: spec strings; all are made in one pass. ``auto`` stands for the one that makes the features of the
            first image shard smallest within ``max_error``.
        max_error: largest error of a value, in parts of its channel's spread; default 0.002.
        on_progress: called with (images done, images in all).

    Raises:
        UsageError: there is no such store, dataset, codec or executor; nothing was written.
        HapistoreError: an image or shard cannot be read, or not even one image fits the memory budget.
    """
    started = time.perf_counter()
    options = options or ExtractOptions()
    for codec in codecs:
        if codec != AUTO:
            get_codec(codec)
    bound = check_max_error(codecs, max_error)
    require_store(store)
    version = resolve_version(store, dataset)
    recipe, weights = recipe_of(prefix, precision=options.precision)
    register_recipe(store, recipe, weights)
    run = _Run(store, recipe, prefix, options, _Progress(version.rows, on_progress))
    choice = run.choose(version, codecs, bound) if AUTO in codecs and version.shards else None
    codecs = replace_auto(codecs, choice)
    tasks = list_tasks(store, version, recipe, codecs)
    run.all(tasks, choice.provenance if choice else {})
    keep_registered(store, recipe, weights)
    if options.trace:
        run.trace.write(options.trace)
    return ExtractResult(
        version=version,
        recipe=recipe,
        codecs=tuple(codecs),
        extracted=len(run.extracted),
        transcoded=run.transcoded,
        present=len(tasks) - len(run.extracted) - run.transcoded,
        images=sum(run.extracted.values()),
        executor=run.executor.label if run.executor else "",
        batch=run.batch,
        peak_bytes=run.peak_bytes,
        seconds=time.perf_counter() - started,
        stage_seconds=run.trace.seconds(),
        choice=choice,
        executor_choice=run.executor,
    )


class _Progress:
    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._total, self._report, self._done = total, report, 0

    def add(self, rows: int) -> None:
        self._done += rows
        if self._report:
            self._report(self._done, self._total)


class _Run:
    """The work of one call, and what is to be told of it.

    Attributes:
        extracted: rows of each image shard run through the network, by digest.
    """

    def __init__(
        self, store: ObjectStore, recipe: Recipe, prefix: Prefix, options: ExtractOptions, progress: _Progress
    ) -> None:
        self._store, self._recipe, self._prefix = store, recipe, prefix
        self._options, self._progress = options, progress
        self.trace = Trace(keep=options.trace is not None)
        self.extracted: dict[str, int] = {}
        self.transcoded = 0
        self.executor: ExecutorChoice | None = None
        self.batch, self.peak_bytes = 0, 0

    def choose(self, version: DatasetVersion, codecs: Sequence[str], max_error: float) -> CodecChoice:
        """What ``auto`` stands for: what an earlier run chose, or what measuring the first image shard gives."""
        first = version.shards[0]
        found = find_choice(self._store, self._recipe, first, max_error)
        if found:
            return found
        (task,) = list_tasks(self._store, replace(version, shards=(first,)), self._recipe, codecs)
        if task.source:
            return choose_codec(task.read_source(self._store), max_error)
        with self._storing([task]) as storing:
            ((room, made_by),) = self._forward([task], storing)
            choice = choose_codec(room[: first.rows], max_error)
            chosen = replace(task, missing=replace_auto(task.missing, choice))
            storing.store(chosen, room, {**made_by, **choice.provenance})
            storing.finish()
        return choice

    def all(self, tasks: Sequence[FeatureTask], provenance: dict[str, Any]) -> None:
        """Make what is missing: from a lossless codec where there is one, else by the network."""
        present = [task for task in tasks if not task.missing and task.shard.images not in self.extracted]
        self._progress.add(sum(task.shard.rows for task in present))
        for task in tasks:
            if task.missing and task.source:
                made_by = {"transcoded_from": task.source, **provenance}
                store_features(self._store, self._recipe, task, task.read_source(self._store), made_by)
                self.transcoded += 1
                self._progress.add(task.shard.rows)
        to_run = [task for task in tasks if task.missing and not task.source]
        if not to_run:
            return
        with self._storing(to_run) as storing:
            for task, (room, made_by) in zip(to_run, self._forward(to_run, storing), strict=True):
                storing.store(task, room, {**made_by, **provenance})
            storing.finish()

    def _storing(self, tasks: Sequence[FeatureTask]) -> FeatureStoring:
        most_rows = max(task.shard.rows for task in tasks)
        return FeatureStoring(
            self._store, self._recipe, most_rows=most_rows, shape=self._prefix.feature_shape, trace=self.trace
        )

    def _forward(
        self, tasks: Sequence[FeatureTask], storing: FeatureStoring
    ) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Each task's images through the network: a room with their features, and what they were made by."""
        forward = Forward(
            self._store,
            self._prefix,
            [task.shard for task in tasks],
            executor=self._options.executor,
            precision=self._options.precision,
            device=self._options.device,
            memory_bytes=self._options.memory_bytes,
            max_batch=self._options.max_batch,
            decode_threads=self._options.decode_threads,
            trace=self.trace,
        )
        self.executor = forward.choice
        for task in tasks:
            room = storing.room()
            forward.next_shard(task.shard.rows, room, self._progress.add)
            yield room, forward.provenance
            self.extracted[task.shard.images] = task.shard.rows
            self.batch, self.peak_bytes = forward.batch, max(self.peak_bytes, forward.peak_bytes)
