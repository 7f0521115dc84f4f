"""The verb: features of every image shard that has none yet."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hapistore_format import DatasetVersion, MissingRow, Recipe, get_codec

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
from .grouping import Part, group_parts, pixels_of
from .memory import free_bytes
from .options import ExtractOptions, ExtractResult
from .recipes import recipe_of
from .storing import FeatureStoring, most_at_once
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
    fails at alone, costs its row only; it is not tried again unless ``options.retry_bad``. With ``options.augment``,
    variants of each image come besides, and an image is decoded once for as many of them as memory takes.

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
    variants = options.augment.recipes(recipe) if options.augment else ()
    recipes = (recipe, *variants)
    for one in recipes:
        register_recipe(store, one, weights)
    run = _Run(store, recipe, prefix, options, _Progress(version.rows * len(recipes), on_progress))
    choice = run.choose(version, codecs, bound) if AUTO in codecs and version.shards else None
    codecs = replace_auto(codecs, choice)
    parts = [
        Part(one, task)
        for one in recipes
        for task in list_tasks(store, version, one, codecs, retry_bad=options.retry_bad)
    ]
    run.all(parts, choice.provenance if choice else {})
    for one in recipes:
        keep_registered(store, one, weights)
    if options.trace:
        run.trace.write(options.trace)
    return ExtractResult(
        version=version,
        recipe=recipe,
        codecs=tuple(codecs),
        extracted=len(run.extracted),
        transcoded=run.transcoded,
        present=len(parts) - len(run.extracted) - run.transcoded,
        images=sum(run.extracted.values()),
        executor=run.executor.label if run.executor else "",
        batch=run.batch,
        peak_bytes=run.peak_bytes,
        seconds=time.perf_counter() - started,
        stage_seconds=run.trace.seconds(),
        executor_choice=run.executor,
        restarts=run.restarts,
        choice=choice,
        left_out=run.left_out(version, recipes, codecs),
        variants=variants,
    )


class _Progress:
    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._total, self._report, self._done = total, report, 0

    def add(self, rows: int) -> None:
        self._done += rows
        if self._report:
            self._report(self._done, self._total)


class _Made(NamedTuple):
    """Features of one image shard in one recipe, in a room that another's will be in later."""

    part: Part
    room: np.ndarray
    missing: tuple[MissingRow, ...]
    made_by: dict[str, Any]


class _Run:
    """The work of one call, and what is to be told of it.

    Attributes:
        extracted: rows of each image shard run through the network, by digests of recipe and shard.
    """

    def __init__(
        self, store: ObjectStore, recipe: Recipe, prefix: Prefix, options: ExtractOptions, progress: _Progress
    ) -> None:
        self._store, self._recipe, self._prefix = store, recipe, prefix
        self._options, self._progress = options, progress
        self.trace = Trace(keep=options.trace is not None)
        self.extracted: dict[tuple[str, str], int] = {}
        self.transcoded = 0
        self.executor: ExecutorChoice | None = None
        self.batch, self.peak_bytes, self.restarts = 0, 0, 0
        self._details: dict[tuple[str, int], str] = {}

    def left_out(
        self, version: DatasetVersion, recipes: Sequence[Recipe], codecs: Sequence[str]
    ) -> tuple[LeftOut, ...]:
        """Images without features in one of the recipes and codecs, with what was found wrong with them now."""
        found: dict[tuple[str, int], LeftOut] = {}
        for recipe, codec in itertools.product(recipes, codecs):
            for image in list_left_out(self._store, version, find_missing(self._store, version, recipe, codec)):
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
        group = [Part(self._recipe, task)]
        with self._storing([group]) as storing:
            ((_, room, missing, made_by),) = self._forward([group], storing)
            choice = choose_codec(ShardFeatures(room[: first.rows], missing).present, max_error)
            chosen = replace(task, missing=replace_auto(task.missing, choice))
            storing.store(self._recipe, chosen, room, missing, {**made_by, **choice.provenance})
            storing.finish()
        return choice

    def all(self, parts: Sequence[Part], provenance: dict[str, Any]) -> None:
        """Make what is missing: from a lossless codec where there is one, else by the network."""
        present = [part for part in parts if not part.task.missing and part.key not in self.extracted]
        self._progress.add(sum(part.task.shard.rows for part in present))
        for recipe, task in parts:
            if task.missing and task.source:
                made_by = {"transcoded_from": task.source, **provenance}
                store_features(self._store, recipe, task, task.read_source(self._store), made_by)
                self.transcoded += 1
                self._progress.add(task.shard.rows)
        to_run = [part for part in parts if part.task.missing and not part.task.source]
        if not to_run:
            return
        most_rows = max(part.task.shard.rows for part in to_run)
        budget = self._options.memory_bytes or free_bytes()
        together = most_at_once(most_rows, self._prefix.feature_shape, budget)
        groups = group_parts(to_run, together)
        with self._storing(groups) as storing, closing(self._forward(groups, storing)) as made:
            for (recipe, task), room, missing, made_by in made:
                storing.store(recipe, task, room, missing, {**made_by, **provenance})
            storing.finish()

    def _storing(self, groups: Sequence[Sequence[Part]]) -> FeatureStoring:
        return FeatureStoring(
            self._store,
            most_rows=max(part.task.shard.rows for group in groups for part in group),
            shape=self._prefix.feature_shape,
            together=max(len(group) for group in groups),
            trace=self.trace,
        )

    def _forward(self, groups: Sequence[Sequence[Part]], storing: FeatureStoring) -> Generator[_Made, None, None]:
        """Each group's images through the network."""
        forward = Forward(
            self._store,
            self._recipe,
            self._prefix,
            [pixels_of(group) for group in groups],
            options=self._options,
            trace=self.trace,
        )
        self.executor = forward.choice
        with closing(forward):
            for group in groups:
                rooms = [storing.room() for _ in group]
                bad = forward.next_shard(group[0].task.shard.rows, rooms, self._progress.add)
                for part, room, without in zip(group, rooms, bad, strict=True):
                    yield _Made(part, room, self._missing(part.task, without), forward.provenance)
                    self.extracted[part.key] = part.task.shard.rows
                self.batch, self.peak_bytes = forward.batch, max(self.peak_bytes, forward.peak_bytes)
            self.restarts += forward.restarts

    def _missing(self, task: FeatureTask, bad: Mapping[int, BadImage]) -> tuple[MissingRow, ...]:
        self._details |= {(task.shard.images, row): image.detail for row, image in bad.items()}
        return tuple(MissingRow(row, bad[row].reason) for row in sorted(bad))
