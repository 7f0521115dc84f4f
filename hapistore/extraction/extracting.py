"""The verb: features of every image shard that has none yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from hapistore_format import DatasetVersion, MissingRow, Recipe, ShardRef, get_codec

from ..appearing import check_free
from ..catalog import register_recipe, require_store, resolve_version
from ..catalog.codec_choice import AUTO, CodecChoice, check_max_error, choose_codec, find_choice, replace_auto
from ..catalog.features import FeatureTask, ShardFeatures, list_tasks, store_features
from ..catalog.missing import LeftOut, find_missing, list_left_out
from ..catalog.recipes import keep_registered
from ..models import Prefix
from ..stores import ObjectStore
from .bad_images import BadImage
from .executors import ExecutorChoice
from .forwarding import Forward
from .options import ExtractOptions, ExtractResult
from .recipes import recipe_of
from .storing import FeatureStoring
from .trace import Trace

DEFAULT_CODEC = "u8c+zstd"


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
    the same recipe where there is one, without the network. An image that cannot be decoded, or that the executor
    fails at alone, costs its row only; it is not tried again unless ``options.retry_bad``.

    Args:
        dataset: ``pets`` or ``pets@7``.
        prefix: the frozen part of a network, from ``load_backbone(…).prefix(cut)``.
        codecs: spec strings; all are made in one pass. ``auto`` stands for the one that makes the features of the
            first image shard smallest within ``max_error``.
        max_error: largest error of a value, in parts of its channel's spread; default 0.002.
        on_progress: called with (images done, images in all).

    Raises:
        UsageError: there is no such store, dataset, codec or executor, or no place for the trace; nothing was written.
        HapistoreError: a shard cannot be read, not even one image fits the memory budget, or every image fails.
    """
    started = time.perf_counter()
    options = options or ExtractOptions()
    for codec in codecs:
        if codec != AUTO:
            get_codec(codec)
    bound = check_max_error(codecs, max_error)
    require_store(store)
    if options.trace:
        check_free(options.trace, replace=True)
    version = resolve_version(store, dataset)
    recipe, weights = recipe_of(prefix, precision=options.precision)
    register_recipe(store, recipe, weights)
    result = extract_recipe(
        store,
        version,
        recipe,
        _Alone(store, recipe, prefix, options),
        codecs=codecs,
        max_error=bound,
        options=options,
        on_progress=on_progress,
    )
    keep_registered(store, recipe, weights)
    return replace(result, seconds=time.perf_counter() - started)


class Forwarding(Protocol):
    """What runs a prefix over shards, in the order in which they were given; as `Forward`."""

    choice: ExecutorChoice
    provenance: dict[str, Any]

    @property
    def batch(self) -> int: ...
    @property
    def peak_bytes(self) -> int: ...
    @property
    def restarts(self) -> int: ...
    def next_shard(self, rows: int, out: np.ndarray, on_rows: Callable[[int], None]) -> dict[int, BadImage]: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """Where forward passes come from: an executor of one's own, or a worker that others use too."""

    def arrange(self, tasks: Sequence[FeatureTask]) -> Sequence[FeatureTask]:
        """The order that suits it."""

    def open(self, shards: Sequence[ShardRef], trace: Trace) -> Forwarding:
        """Begin to run over these shards."""


class _Alone:
    """An executor for this extraction only."""

    def __init__(self, store: ObjectStore, recipe: Recipe, prefix: Prefix, options: ExtractOptions) -> None:
        self._store, self._recipe, self._prefix, self._options = store, recipe, prefix, options

    def arrange(self, tasks: Sequence[FeatureTask]) -> Sequence[FeatureTask]:
        return tasks

    def open(self, shards: Sequence[ShardRef], trace: Trace) -> Forwarding:
        return Forward(self._store, self._recipe, self._prefix, shards, options=self._options, trace=trace)


def extract_recipe(
    store: ObjectStore,
    version: DatasetVersion,
    recipe: Recipe,
    engine: Engine,
    *,
    codecs: Sequence[str],
    max_error: float,
    options: ExtractOptions,
    on_progress: Callable[[int, int], None] | None = None,
) -> ExtractResult:
    """Make what is missing of a recipe that is registered: the part of ``extract`` after the network was loaded."""
    started = time.perf_counter()
    run = _Run(store, recipe, engine, options, _Progress(version.rows, on_progress))
    choice = run.choose(version, codecs, max_error) if AUTO in codecs and version.shards else None
    codecs = replace_auto(codecs, choice)
    tasks = list_tasks(store, version, recipe, codecs, retry_bad=options.retry_bad)
    run.all(tasks, choice.provenance if choice else {})
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
        executor_choice=run.executor,
        restarts=run.restarts,
        choice=choice,
        left_out=run.left_out(version, codecs),
    )


class _Progress:
    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._total, self._report, self._done = total, report, 0

    def add(self, rows: int) -> None:
        self._done += rows
        if self._report:
            self._report(self._done, self._total)


class _Made(NamedTuple):
    """Features of one image shard, in a room that the next but one will be in."""

    room: np.ndarray
    missing: tuple[MissingRow, ...]
    made_by: dict[str, Any]


class _Run:
    """The work of one call, and what is to be told of it.

    Attributes:
        extracted: rows of each image shard run through the network, by digest.
    """

    def __init__(
        self, store: ObjectStore, recipe: Recipe, engine: Engine, options: ExtractOptions, progress: _Progress
    ) -> None:
        self._store, self._recipe, self._engine, self._progress = store, recipe, engine, progress
        self.trace = Trace(keep=options.trace is not None)
        self.extracted: dict[str, int] = {}
        self.transcoded = 0
        self.executor: ExecutorChoice | None = None
        self.batch, self.peak_bytes, self.restarts = 0, 0, 0
        self._details: dict[tuple[str, int], str] = {}

    def left_out(self, version: DatasetVersion, codecs: Sequence[str]) -> tuple[LeftOut, ...]:
        """Images without features in one of the codecs, with what was found wrong with them now."""
        found: dict[tuple[str, int], LeftOut] = {}
        for codec in codecs:
            for image in list_left_out(self._store, version, find_missing(self._store, version, self._recipe, codec)):
                found[image.images, image.row] = image
        return tuple(replace(image, detail=self._details.get(at, "")) for at, image in found.items())

    def choose(self, version: DatasetVersion, codecs: Sequence[str], max_error: float) -> CodecChoice:
        """What ``auto`` stands for: what an earlier run chose, or what measuring the first image shard gives."""
        first = version.shards[0]
        found = find_choice(self._store, self._recipe, first, max_error)
        if found:
            return found
        (task,) = list_tasks(self._store, replace(version, shards=(first,)), self._recipe, codecs)
        if task.source:
            return choose_codec(task.read_source(self._store).present, max_error)
        with self._storing([task]) as storing:
            ((room, missing, made_by),) = self._forward([task], storing)
            choice = choose_codec(ShardFeatures(room[: first.rows], missing).present, max_error)
            chosen = replace(task, missing=replace_auto(task.missing, choice))
            storing.store(chosen, room, missing, {**made_by, **choice.provenance})
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
        to_run: Sequence[FeatureTask] = [task for task in tasks if task.missing and not task.source]
        if not to_run:
            return
        to_run = self._engine.arrange(to_run)
        with self._storing(to_run) as storing, closing(self._forward(to_run, storing)) as made:
            for task, (room, missing, made_by) in zip(to_run, made, strict=True):
                storing.store(task, room, missing, {**made_by, **provenance})
            storing.finish()

    def _storing(self, tasks: Sequence[FeatureTask]) -> FeatureStoring:
        most_rows = max(task.shard.rows for task in tasks)
        return FeatureStoring(
            self._store, self._recipe, most_rows=most_rows, shape=self._recipe.shape, trace=self.trace
        )

    def _forward(self, tasks: Sequence[FeatureTask], storing: FeatureStoring) -> Generator[_Made, None, None]:
        """Each task's images through the network."""
        forward = self._engine.open([task.shard for task in tasks], self.trace)
        self.executor = forward.choice
        with closing(forward):
            for task in tasks:
                room = storing.room()
                bad = forward.next_shard(task.shard.rows, room, self._progress.add)
                yield _Made(room, self._missing(task, bad), forward.provenance)
                self.extracted[task.shard.images] = task.shard.rows
                self.batch, self.peak_bytes = forward.batch, max(self.peak_bytes, forward.peak_bytes)
            self.restarts += forward.restarts

    def _missing(self, task: FeatureTask, bad: Mapping[int, BadImage]) -> tuple[MissingRow, ...]:
        self._details |= {(task.shard.images, row): image.detail for row, image in bad.items()}
        return tuple(MissingRow(row, bad[row].reason) for row in sorted(bad))
