"""The verb: another codec of features that are there, without the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hapistore_format import DatasetVersion, Recipe, get_codec

from ..errors import UsageError
from ..stores import ObjectStore
from .datasets import resolve_version
from .features import LOSSLESS, FeatureTask, list_tasks, store_features
from .inventory import dataset_features
from .marker import require_store
from .recipes import find_recipe


@dataclass(frozen=True, kw_only=True)
class TranscodeResult:
    """What a transcoding did.

    Attributes:
        transcoded, present: image shards whose features were made, and those that had them all.
    """

    version: DatasetVersion
    recipe: Recipe
    codecs: tuple[str, ...]
    transcoded: int
    present: int
    seconds: float


def transcode(
    store: ObjectStore,
    dataset: str,
    *,
    codecs: Sequence[str],
    recipe: str | None = None,
    source: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TranscodeResult:
    """Make features in other codecs from those that are stored. Stopped, the next run does what is missing.

    Args:
        dataset: ``pets`` or ``pets@7``.
        codecs: spec strings of what to make.
        recipe: as in ``open_view``; may be left out where the version has features of one recipe only.
        source: the codec to make them from. Default: a lossless one. From another, values are rounded twice.
        on_progress: called with (image shards done, image shards in all).

    Raises:
        UsageError: nothing fits, or there is nothing to make them from; the message lists what there is.
        FormatError: a feature shard is damaged.
    """
    started = time.perf_counter()
    for codec in (*codecs, *([source] if source else [])):
        get_codec(codec)
    require_store(store)
    version = resolve_version(store, dataset)
    chosen = _choose_recipe(store, version, recipe)
    tasks = list_tasks(store, version, chosen, codecs, sources=LOSSLESS if source is None else (source,))
    to_do = [task for task in tasks if task.missing]
    _check_sources(to_do, version, chosen, source, {s.codec for s in dataset_features(store, version)})
    for number, task in enumerate(to_do, 1):
        store_features(store, chosen, task, task.read_source(store), {"transcoded_from": task.source})
        if on_progress:
            on_progress(number, len(to_do))
    return TranscodeResult(
        version=version,
        recipe=chosen,
        codecs=tuple(codecs),
        transcoded=len(to_do),
        present=len(tasks) - len(to_do),
        seconds=time.perf_counter() - started,
    )


def _choose_recipe(store: ObjectStore, version: DatasetVersion, recipe: str | None) -> Recipe:
    if recipe is not None:
        return find_recipe(store, recipe)
    found = {s.recipe.digest: s.recipe for s in dataset_features(store, version)}
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UsageError(f"{version.label} has no features; make them with `hapistore extract {version.dataset}`")
    listed = ", ".join(f"{r.digest[:12]} ({r.architecture}:{r.cut})" for r in found.values())
    raise UsageError(f"{version.label} has features of several recipes: {listed}; say which")


def _check_sources(
    to_do: Sequence[FeatureTask], version: DatasetVersion, recipe: Recipe, source: str | None, there: set[str]
) -> None:
    lacking = sum(task.source is None for task in to_do)
    if lacking:
        wanted = source or " or ".join(LOSSLESS)
        raise UsageError(
            f"{lacking} of the {len(version.shards)} image shards of {version.label} have no {wanted} features of "
            f"{recipe.architecture}:{recipe.cut} to make others from; extract, or name another source codec "
            f"(there is {', '.join(sorted(there)) or 'none'})"
        )
