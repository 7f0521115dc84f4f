"""The verb: features of every image shard that has none yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from hapistore_format import Recipe, get_codec

from ..appearing import check_free
from ..catalog import register_recipe, require_store, resolve_version
from ..catalog.codec_choice import AUTO, check_max_error
from ..catalog.recipes import keep_registered
from ..models import AnyPrefix
from ..stores import ObjectStore
from .engine import Forwarding
from .executors import ExecutorChoice
from .filling import extract_recipes
from .forwarding import Forward
from .grouping import Part
from .memory import free_bytes
from .options import ExtractOptions, ExtractResult
from .pixels import ShardPixels
from .recipes import recipe_of
from .storing import most_at_once
from .trace import Trace

DEFAULT_CODEC = "u8c+zstd"


def extract(
    store: ObjectStore,
    dataset: str,
    prefix: AnyPrefix,
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
    variants of each image come besides, and an image is decoded once for as many of them as memory takes. With
    ``options.share``, several machines extract at once: each makes its share, and then what the others have not stored
    yet, so that all is there when one of them ends.

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
    with closing(_Alone(store, recipe, prefix, options)) as engine:
        result = extract_recipes(
            store,
            version,
            recipes,
            engine,
            codecs=codecs,
            max_error=bound,
            options=options,
            on_progress=on_progress,
        )
    for one in recipes:
        keep_registered(store, one, weights)
    return replace(result, seconds=time.perf_counter() - started)


class _Alone:
    """An executor for this extraction only: chosen when it is first needed, and kept to the end."""

    def __init__(self, store: ObjectStore, recipe: Recipe, prefix: AnyPrefix, options: ExtractOptions) -> None:
        self._store, self._recipe, self._prefix, self._options = store, recipe, prefix, options
        self._choice: ExecutorChoice | None = None

    def most_at_once(self, rows: int) -> int:
        return most_at_once(rows, self._recipe.shape, self._options.memory_bytes or free_bytes())

    def arrange(self, groups: Sequence[Sequence[Part]]) -> Sequence[Sequence[Part]]:
        return groups

    def open(self, wanted: Sequence[ShardPixels], trace: Trace) -> Forwarding:
        forward = Forward(
            self._store, self._recipe, self._prefix, wanted, options=self._options, trace=trace, choice=self._choice
        )
        self._choice = forward.choice
        return forward

    def close(self) -> None:
        if self._choice is not None:
            self._choice.executor.close()
