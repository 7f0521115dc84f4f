"""Which feature shards are missing, where they can come from, and storing them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from hapistore_format import (
    DatasetVersion,
    FeatureShardReader,
    FormatError,
    MissingRow,
    Recipe,
    ShardRef,
    codec_names,
    get_codec,
    write_feature_shard,
)

from ..errors import HapistoreError
from ..stores import ObjectStore, ensure, exists
from ..threads import map_ahead
from .missing import read_missing
from .names import features_name
from .reading import read_object

LOSSLESS = tuple(codec for codec in codec_names() if get_codec(codec).quantiser.lossless)
_THREADS, _AHEAD = 8, 64
_log = logging.getLogger(__name__)


class ShardFeatures(NamedTuple):
    """Features of one image shard, float32 [rows, *shape], and the rows that have none."""

    values: np.ndarray
    missing: tuple[MissingRow, ...] = ()

    @property
    def present(self) -> np.ndarray:
        """Without the missing rows; all, where there are no others."""
        if not self.missing or len(self.missing) == len(self.values):
            return self.values
        return np.delete(self.values, [row for row, _ in self.missing], axis=0)


@dataclass(frozen=True, kw_only=True)
class FeatureTask:
    """One image shard: the codecs it lacks, and the feature shard they can be made from, if any.

    Attributes:
        replaces: codecs among the missing ones of which there is a shard that lacks rows, and how many.
    """

    shard: ShardRef
    missing: tuple[str, ...]
    source: str | None
    replaces: Mapping[str, int] = field(default_factory=dict)

    def is_made(self, store: ObjectStore, recipe: Recipe) -> bool:
        """Whether somebody has stored meanwhile what it lacks; False where it replaces what is there."""
        names = (features_name(recipe.digest, codec, self.shard.images) for codec in self.missing)
        return not self.replaces and all(exists(store, name) for name in names)

    def read_source(self, store: ObjectStore) -> ShardFeatures:
        """From the feature shard that there is.

        Raises:
            FormatError: it is damaged.
        """
        if self.source is None:
            raise ValueError("there is no feature shard to read")
        reader = read_object(store, self.source, FeatureShardReader)
        return ShardFeatures(reader.features(), reader.missing)


def list_tasks(
    store: ObjectStore,
    version: DatasetVersion,
    recipe: Recipe,
    codecs: Sequence[str],
    *,
    sources: Sequence[str] = LOSSLESS,
    retry_bad: bool = False,
) -> list[FeatureTask]:
    """A task for every distinct image shard of a version, done ones included.

    Args:
        sources: codecs that the others may be made from, the best first.
        retry_bad: whether feature shards that lack rows count as missing.
    """

    def look(shard: ShardRef) -> FeatureTask:
        lacking = _lacking_rows(store, recipe, codecs, shard) if retry_bad else {}
        absent = [c for c in codecs if not exists(store, features_name(recipe.digest, c, shard.images))]
        if lacking:
            # From the images, in every codec that is asked for: another shard may lack the same rows.
            missing = tuple(c for c in codecs if c in lacking or c in absent)
            return FeatureTask(shard=shard, missing=missing, source=None, replaces=lacking)
        usable = (features_name(recipe.digest, c, shard.images) for c in sources)
        source = next((name for name in usable if exists(store, name)), None) if absent else None
        return FeatureTask(shard=shard, missing=tuple(absent), source=source)

    shards = {shard.images: shard for shard in version.shards}.values()
    return list(map_ahead(look, shards, threads=_THREADS, ahead=_AHEAD, name="hapistore-look"))


def _lacking_rows(store: ObjectStore, recipe: Recipe, codecs: Sequence[str], shard: ShardRef) -> dict[str, int]:
    """How many rows a shard's features lack, by those of the codecs in which they lack any."""
    names = {codec: features_name(recipe.digest, codec, shard.images) for codec in codecs}
    counts = {codec: len(read_missing(store, name)) for codec, name in names.items() if exists(store, name)}
    return {codec: count for codec, count in counts.items() if count}


def store_features(
    store: ObjectStore,
    recipe: Recipe,
    task: FeatureTask,
    features: ShardFeatures,
    provenance: dict[str, Any],
    *,
    timed: Callable[[str], AbstractContextManager[None]] = lambda stage: nullcontext(),
) -> dict[str, bytes | memoryview]:
    """Encode and store one shard's features in every codec it lacks. Who stores first wins.

    What the task replaces is written over, unless that would lack as many rows.

    Args:
        timed: is entered around the stages ``encode`` and ``store``.

    Returns:
        the feature shards that are in the store by this call, by codec.

    Raises:
        HapistoreError: a codec cannot store a value; the message names shard and row.
    """
    stored: dict[str, bytes | memoryview] = {}
    for codec in task.missing:
        name = features_name(recipe.digest, codec, task.shard.images)
        if codec in task.replaces and len(features.missing) >= task.replaces[codec]:
            continue
        try:
            with timed("encode"):
                data = write_feature_shard(
                    features.values,
                    codec=codec,
                    recipe=recipe.digest,
                    images=task.shard.images,
                    provenance=provenance,
                    missing=features.missing,
                )
        except FormatError as error:
            raise HapistoreError(f"{name}: {error.detail} [{error.code}]") from error
        with timed("store"):
            if codec in task.replaces:
                store.put(name, data)
            elif not ensure(store, name, data):
                _log.info("%s was stored by another worker meanwhile", name)
                continue
        stored[codec] = data
    return stored
