"""The verb: features of every image shard that has none yet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from hapistore_format import DatasetVersion, MissingRow, Recipe, get_codec

from ..catalog import register_recipe, require_store, resolve_version
from ..catalog.codec_choice import AUTO, CodecChoice, check_max_error, choose_codec, find_choice, replace_auto
from ..catalog.features import FeatureTask, ShardFeatures, list_tasks, store_features
from ..catalog.missing import LeftOut, find_missing, list_left_out
from ..catalog.recipes import keep_registered
from ..errors import UsageError
from ..models import Prefix
from ..stores import ObjectStore
from .bad_images import BadImage
from .forwarding import Forward
from .recipes import recipe_of

DEFAULT_CODEC = "u8c+zstd"


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """How to extract. None of it decides a feature's value beyond the precision's tolerance.

    Attributes:
        memory_bytes: what the process (on a GPU: the device) may occupy at its peak; default 80 % of what is free.
        max_batch: largest extraction batch.
        executor: ``auto``, ``torch`` or ``openvino``; device: a torch device.
        decode_threads: how many images are decoded at once.
        child: run the executor in a process of its own, whose end costs a batch and not the job.
        retry_bad: try images again that earlier runs had to leave out.
    """

    memory_bytes: int | None = None
    max_batch: int = 256
    executor: str = "auto"
    device: str | None = None
    decode_threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    child: bool = False
    retry_bad: bool = False

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
        choice: how ``auto`` chose; None where it was not asked for.
        left_out: images of the version that have no features, found now or by an earlier run.
        restarts: how often the executor's process was started again.
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
    choice: CodecChoice | None = None
    left_out: tuple[LeftOut, ...] = ()
    restarts: int = 0


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
        UsageError: there is no such store, dataset, codec or executor; nothing was written.
        HapistoreError: a shard cannot be read, not even one image fits the memory budget, or every image fails.
    """
    started = time.perf_counter()
    options = options or ExtractOptions()
    for codec in codecs:
        if codec != AUTO:
            get_codec(codec)
    bound = check_max_error(codecs, max_error)
    require_store(store)
    version = resolve_version(store, dataset)
    recipe, weights = recipe_of(prefix)
    register_recipe(store, recipe, weights)
    run = _Run(store, recipe, prefix, options, _Progress(version.rows, on_progress))
    choice = run.choose(version, codecs, bound) if AUTO in codecs and version.shards else None
    codecs = replace_auto(codecs, choice)
    tasks = list_tasks(store, version, recipe, codecs, retry_bad=options.retry_bad)
    run.all(tasks, choice.provenance if choice else {})
    keep_registered(store, recipe, weights)
    return ExtractResult(
        version=version,
        recipe=recipe,
        codecs=tuple(codecs),
        extracted=len(run.extracted),
        transcoded=run.transcoded,
        present=len(tasks) - len(run.extracted) - run.transcoded,
        images=sum(run.extracted.values()),
        executor=run.executor,
        batch=run.batch,
        peak_bytes=run.peak_bytes,
        seconds=time.perf_counter() - started,
        choice=choice,
        left_out=run.left_out(version, codecs),
        restarts=run.restarts,
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
        self.extracted: dict[str, int] = {}
        self.transcoded = 0
        self.executor, self.batch, self.peak_bytes, self.restarts = "", 0, 0, 0
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
        for features, made_by in self._forward([task]):
            choice = choose_codec(features.present, max_error)
            chosen = replace(task, missing=replace_auto(task.missing, choice))
            store_features(self._store, self._recipe, chosen, features, {**made_by, **choice.provenance})
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
        for task, (features, made_by) in zip(to_run, self._forward(to_run), strict=True):
            store_features(self._store, self._recipe, task, features, {**made_by, **provenance})

    def _forward(self, tasks: Sequence[FeatureTask]) -> Iterator[tuple[ShardFeatures, dict[str, Any]]]:
        """Features of each task's images, overwritten by the next, and what they were made by."""
        if not tasks:
            return
        forward = Forward(
            self._store,
            self._prefix,
            [task.shard for task in tasks],
            executor=self._options.executor,
            device=self._options.device,
            memory_bytes=self._options.memory_bytes,
            max_batch=self._options.max_batch,
            decode_threads=self._options.decode_threads,
            child=self._options.child,
        )
        self.executor = forward.description
        with closing(forward):
            for task, (features, bad) in zip(tasks, forward.shards(self._progress.add), strict=True):
                yield ShardFeatures(features, self._missing(task, bad)), forward.provenance
                self.extracted[task.shard.images] = task.shard.rows
                self.batch, self.peak_bytes = forward.batch, max(self.peak_bytes, forward.peak_bytes)
        self.restarts += forward.restarts

    def _missing(self, task: FeatureTask, bad: Mapping[int, BadImage]) -> tuple[MissingRow, ...]:
        self._details |= {(task.shard.images, row): image.detail for row, image in bad.items()}
        return tuple(MissingRow(row, bad[row].reason) for row in sorted(bad))
