"""Which feature shards are missing, where they can come from, and storing them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from hapistore_format import (
    DatasetVersion,
    FeatureShardReader,
    FormatError,
    Recipe,
    ShardRef,
    codec_names,
    get_codec,
    write_feature_shard,
)

from ..errors import HapistoreError
from ..stores import ObjectStore, ensure, exists
from .names import features_name
from .reading import read_object

LOSSLESS = tuple(codec for codec in codec_names() if get_codec(codec).quantiser.lossless)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FeatureTask:
    """One image shard: the codecs it lacks, and the feature shard they can be made from, if any."""

    shard: ShardRef
    missing: tuple[str, ...]
    source: str | None

    def read_source(self, store: ObjectStore) -> np.ndarray:
        """float32 [rows, *shape] from the feature shard that there is.

        Raises:
            FormatError: it is damaged.
        """
        if self.source is None:
            raise ValueError("there is no feature shard to read")
        return read_object(store, self.source, FeatureShardReader).features()


def list_tasks(
    store: ObjectStore,
    version: DatasetVersion,
    recipe: Recipe,
    codecs: Sequence[str],
    *,
    sources: Sequence[str] = LOSSLESS,
) -> list[FeatureTask]:
    """A task for every distinct image shard of a version, done ones included.

    Args:
        sources: codecs that the others may be made from, the best first.
    """
    tasks = []
    for shard in {shard.images: shard for shard in version.shards}.values():
        missing = tuple(c for c in codecs if not exists(store, features_name(recipe.digest, c, shard.images)))
        usable = (features_name(recipe.digest, c, shard.images) for c in sources)
        source = next((name for name in usable if exists(store, name)), None) if missing else None
        tasks.append(FeatureTask(shard=shard, missing=missing, source=source))
    return tasks


def store_features(
    store: ObjectStore,
    recipe: Recipe,
    task: FeatureTask,
    features: np.ndarray,
    provenance: dict[str, Any],
    *,
    timed: Callable[[str], AbstractContextManager[None]] = lambda stage: nullcontext(),
) -> None:
    """Encode and store one shard's features in every codec it lacks. Who stores first wins.

    Args:
        timed: is entered around the stages ``encode`` and ``store``.

    Raises:
        HapistoreError: a codec cannot store a value; the message names shard and row.
    """
    for codec in task.missing:
        name = features_name(recipe.digest, codec, task.shard.images)
        try:
            with timed("encode"):
                data = write_feature_shard(
                    features, codec=codec, recipe=recipe.digest, images=task.shard.images, provenance=provenance
                )
        except FormatError as error:
            raise HapistoreError(f"{name}: {error.detail} [{error.code}]") from error
        with timed("store"):
            created = ensure(store, name, data)
        if not created:
            _log.info("%s was stored by another worker meanwhile", name)
