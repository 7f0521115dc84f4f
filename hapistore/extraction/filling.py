"""Making what is missing of some recipes: from a lossless codec where there is one, else by an engine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hapistore_format import DatasetVersion, MissingRow, Recipe, ShardRef

from ..catalog.codec_choice import AUTO, CodecChoice, choose_codec, find_choice, replace_auto
from ..catalog.features import FeatureTask, ShardFeatures, list_tasks, store_features
from ..catalog.missing import LeftOut, MissingRows, find_missing, list_left_out
from ..stores import ObjectStore
from .bad_images import BadImage
from .engine import Engine
from .executors import ExecutorChoice
from .grouping import Part, group_parts, pixels_of
from .options import ExtractOptions, ExtractResult
from .sink import NoSink, ShardSink
from .storing import FeatureStoring, StoredShard
from .trace import Trace


def extract_recipes(
    store: ObjectStore,
    version: DatasetVersion,
    recipes: Sequence[Recipe],
    engine: Engine,
    *,
    codecs: Sequence[str],
    max_error: float,
    options: ExtractOptions,
    on_progress: Callable[[int, int], None] | None = None,
    keep: bool = True,
    sink: ShardSink | None = None,
) -> ExtractResult:
    """Make what is missing of recipes that are registered: the part of ``extract`` after the network was loaded.

    Args:
        recipes: of the images as they are, and of their variants.
        keep: False: everything is made, whatever there is, and the store gets none of it.
        sink: told of shards as they come, of one recipe; the engine tells it of their rows.
    """
    started = time.perf_counter()
    recipe, *variants = recipes
    run = _Run(store, recipe, engine, options, _Progress(version.rows * len(recipes), on_progress), sink or NoSink())
    choice = run.choose(version, codecs, max_error) if keep and AUTO in codecs and version.shards else None
    codecs = replace_auto(codecs, choice) if keep else ()
    shards = list({shard.images: shard for shard in version.shards}.values())
    if keep:
        made_by = choice.provenance if choice else {}
        for some, retry_bad in _in_turn(shards, recipes, options, run):
            chosen = replace(version, shards=tuple(some))
            parts = [
                Part(one, task)
                for one in recipes
                for task in list_tasks(store, chosen, one, codecs, retry_bad=retry_bad)
            ]
            run.all(parts, made_by)
    else:
        unkept = [FeatureTask(shard=shard, missing=(), source=None) for shard in shards]
        run.compute([Part(one, task) for one in recipes for task in unkept], {})
    if options.trace:
        run.trace.write(options.trace)
    return ExtractResult(
        version=version,
        recipe=recipe,
        codecs=tuple(codecs),
        extracted=len(run.extracted),
        transcoded=run.transcoded,
        present=len(shards) * len(recipes) - len(run.extracted) - run.transcoded,
        images=sum(run.extracted.values()),
        executor=run.executor.label if run.executor else "",
        batch=run.batch,
        peak_bytes=run.peak_bytes,
        seconds=time.perf_counter() - started,
        stage_seconds=run.trace.seconds(),
        executor_choice=run.executor,
        restarts=run.restarts,
        choice=choice,
        left_out=run.left_out(version, recipes, codecs) if keep else run.left_out_now(version),
        variants=tuple(variants),
    )


def _in_turn(
    shards: list[ShardRef], recipes: Sequence[Recipe], options: ExtractOptions, run: _Run
) -> Iterator[tuple[list[ShardRef], bool]]:
    """Shards to look for in the store and then to make, and whether to try their bad images again.

    All of them; with a share, its own until others are met who help, and then whatever is left, one by one, each looked
    for as late as can be. What others could not decode is theirs to try again: that they have is not seen in the store.
    """
    if options.share is None:
        yield shards, options.retry_bad
        return
    mine, others = options.share.divide(shards)
    if mine:
        yield mine, options.retry_bad
    for shard in [*mine, *others]:
        if any((one.digest, shard.images) not in run.done for one in recipes):
            yield [shard], False


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
        done: the same of all that is there, whoever made it.
    """

    def __init__(
        self,
        store: ObjectStore,
        recipe: Recipe,
        engine: Engine,
        options: ExtractOptions,
        progress: _Progress,
        sink: ShardSink,
    ) -> None:
        self._store, self._recipe, self._engine, self._progress, self._sink = store, recipe, engine, progress, sink
        self._shared = options.share is not None
        self.done: set[tuple[str, str]] = set()
        self.trace = Trace(keep=options.trace is not None)
        self.extracted: dict[tuple[str, str], int] = {}
        self.transcoded = 0
        self.executor: ExecutorChoice | None = None
        self.batch, self.peak_bytes, self.restarts = 0, 0, 0
        self._details: dict[tuple[str, int], str] = {}
        self._lacking: dict[str, tuple[MissingRow, ...]] = {}
        self._written: dict[tuple[str, str, str], tuple[MissingRow, ...]] = {}

    def left_out(
        self, version: DatasetVersion, recipes: Sequence[Recipe], codecs: Sequence[str]
    ) -> tuple[LeftOut, ...]:
        """Images without features in one of the recipes and codecs, with what was found wrong with them now."""
        found: dict[tuple[str, int], LeftOut] = {}
        for recipe, codec in itertools.product(recipes, codecs):
            for image in list_left_out(self._store, version, self._find_missing(version, recipe, codec)):
                found[image.images, image.row] = image
        return tuple(replace(image, detail=self._details.get(at, "")) for at, image in found.items())

    def _find_missing(self, version: DatasetVersion, recipe: Recipe, codec: str) -> MissingRows:
        """Of feature shards that were not written just now, from the store."""
        keys = [(recipe.digest, codec, shard.images) for shard in version.shards]
        others = [number for number, key in enumerate(keys) if key not in self._written]
        known = {number: rows for number, key in enumerate(keys) if (rows := self._written.get(key))}
        return {**find_missing(self._store, version, recipe, codec, shards=others), **known}

    def left_out_now(self, version: DatasetVersion) -> tuple[LeftOut, ...]:
        """Images that got no features here, of one recipe."""
        lacking = {n: rows for n, shard in enumerate(version.shards) if (rows := self._lacking.get(shard.images))}
        found = list_left_out(self._store, version, lacking)
        return tuple(replace(image, detail=self._details.get((image.images, image.row), "")) for image in found)

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
        parts = [part for part in parts if part.key not in self.done]
        present = [part for part in parts if not part.task.missing]
        for part in present:
            self._sink.stored(part.task.shard, {})
        self.done |= {part.key for part in present}
        self._progress.add(sum(part.task.shard.rows for part in present))
        for part in parts:
            recipe, task = part
            if task.missing and task.source:
                made_by = {"transcoded_from": task.source, **provenance}
                source = task.read_source(self._store)
                made = store_features(self._store, recipe, task, source, made_by)
                self.transcoded += 1
                self.done.add(part.key)
                self._stored(StoredShard(recipe, task, source.missing, made))
                self._progress.add(task.shard.rows)
        self.compute([part for part in parts if part.task.missing and not part.task.source], provenance)

    def compute(self, to_run: Sequence[Part], provenance: dict[str, Any]) -> None:
        """Run images through the network, and store what their tasks say."""
        if not to_run:
            return
        together = self._engine.most_at_once(max(part.task.shard.rows for part in to_run))
        groups = self._engine.arrange(group_parts(to_run, together))
        with self._storing(groups) as storing, closing(self._forward(groups, storing)) as made:
            for (recipe, task), room, missing, made_by in made:
                storing.store(recipe, task, room, missing, {**made_by, **provenance})
            storing.finish()

    def _storing(self, groups: Sequence[Sequence[Part]]) -> FeatureStoring:
        return FeatureStoring(
            self._store,
            most_rows=max(part.task.shard.rows for group in groups for part in group),
            shape=self._recipe.shape,
            together=max(len(group) for group in groups),
            ahead=len(groups),
            trace=self.trace,
            stored=self._stored,
        )

    def _stored(self, shard: StoredShard) -> None:
        images = shard.task.shard.images
        self._written |= {(shard.recipe.digest, codec, images): shard.missing for codec in shard.made}
        if shard.task.missing:
            self._sink.stored(shard.task.shard, shard.made)

    def _forward(self, groups: Sequence[Sequence[Part]], storing: FeatureStoring) -> Generator[_Made, None, None]:
        """Each group's images through the network."""
        forward = self._engine.open([pixels_of(group) for group in groups], self.trace)
        self.executor = forward.choice
        with closing(forward):
            for group in groups:
                if self._shared and all(task.is_made(self._store, recipe) for recipe, task in group):
                    break  # by those who help, who come from the other end
                rooms = [storing.room() for _ in group]
                bad = forward.next_shard(group[0].task.shard.rows, rooms, self._progress.add)
                for part, room, without in zip(group, rooms, bad, strict=True):
                    missing = self._missing(part.task, without)
                    self._sink.finished(part.task.shard, ShardFeatures(room[: part.task.shard.rows], missing))
                    yield _Made(part, room, missing, forward.provenance)
                    self.extracted[part.key] = part.task.shard.rows
                    self.done.add(part.key)
                self.batch, self.peak_bytes = forward.batch, max(self.peak_bytes, forward.peak_bytes)
            self.restarts += forward.restarts

    def _missing(self, task: FeatureTask, bad: Mapping[int, BadImage]) -> tuple[MissingRow, ...]:
        self._details |= {(task.shard.images, row): image.detail for row, image in bad.items()}
        missing = tuple(MissingRow(row, bad[row].reason) for row in sorted(bad))
        if missing:
            self._lacking[task.shard.images] = missing
        return missing
