"""The verb: features of every image shard that has none yet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hapistore_format import DatasetVersion, Recipe, get_codec

from ..catalog import register_recipe, require_store, resolve_version
from ..catalog.features import FeatureTask, list_tasks, store_features
from ..errors import UsageError
from ..models import Prefix
from ..stores import ObjectStore
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
    """

    memory_bytes: int | None = None
    max_batch: int = 256
    executor: str = "auto"
    device: str | None = None
    decode_threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

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


def extract(
    store: ObjectStore,
    dataset: str,
    prefix: Prefix,
    *,
    codecs: Sequence[str] = (DEFAULT_CODEC,),
    options: ExtractOptions | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ExtractResult:
    """Compute and store the features of a dataset's images, where they are not stored yet.

    Stopped at any moment, the next run does only what is missing. A codec is made from a lossless one of
    the same recipe where there is one, without the network.

    Args:
        dataset: ``pets`` or ``pets@7``.
        prefix: the frozen part of a network, from ``load_backbone(…).prefix(cut)``.
        codecs: spec strings; all are made in one pass.
        on_progress: called with (images done, images in all).

    Raises:
        UsageError: there is no such store, dataset, codec or executor; nothing was written.
        HapistoreError: an image or shard cannot be read, or not even one image fits the memory budget.
    """
    started = time.perf_counter()
    options = options or ExtractOptions()
    for codec in codecs:
        get_codec(codec)
    require_store(store)
    version = resolve_version(store, dataset)
    recipe, weights = recipe_of(prefix)
    register_recipe(store, recipe, weights)
    tasks = list_tasks(store, version, recipe, codecs)
    progress = _Progress(version.rows, on_progress)
    progress.add(sum(task.shard.rows for task in tasks if not task.missing))
    transcoded = [task for task in tasks if task.missing and task.source]
    for task in transcoded:
        store_features(store, recipe, task, task.read_source(store), {"transcoded_from": task.source})
        progress.add(task.shard.rows)
    to_run = [task for task in tasks if task.missing and not task.source]
    forward = _run_network(store, recipe, prefix, to_run, options, progress) if to_run else None
    return ExtractResult(
        version=version,
        recipe=recipe,
        codecs=tuple(codecs),
        extracted=len(to_run),
        transcoded=len(transcoded),
        present=len(tasks) - len(to_run) - len(transcoded),
        images=sum(task.shard.rows for task in to_run),
        executor=forward.description if forward else "",
        batch=forward.batch if forward else 0,
        peak_bytes=forward.peak_bytes if forward else 0,
        seconds=time.perf_counter() - started,
    )


class _Progress:
    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self._total, self._report, self._done = total, report, 0

    def add(self, rows: int) -> None:
        self._done += rows
        if self._report:
            self._report(self._done, self._total)


def _run_network(
    store: ObjectStore,
    recipe: Recipe,
    prefix: Prefix,
    tasks: Sequence[FeatureTask],
    options: ExtractOptions,
    progress: _Progress,
) -> Forward:
    forward = Forward(
        store,
        prefix,
        [task.shard for task in tasks],
        executor=options.executor,
        device=options.device,
        memory_bytes=options.memory_bytes,
        max_batch=options.max_batch,
        decode_threads=options.decode_threads,
    )
    for task, features in zip(tasks, forward.shards(progress.add), strict=True):
        store_features(store, recipe, task, features, forward.provenance)
    return forward
