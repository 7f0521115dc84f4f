"""Which features a dataset version has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hapistore_format import DatasetVersion, Recipe

from ..stores import ObjectInfo, ObjectStore
from .names import parse_name
from .recipes import list_recipes


@dataclass(frozen=True, kw_only=True)
class FeatureSummary:
    """Features of one version in one recipe and codec.

    Attributes:
        shards: how many of the version's image shards have a feature shard; ``rows`` are theirs.
        bytes: size of those feature shards.
        complete: whether all have one.
        smallest: of the feature shards, for who wants to look into one.
    """

    recipe: Recipe
    codec: str
    shards: int
    rows: int
    bytes: int
    complete: bool
    smallest: ObjectInfo

    @property
    def bytes_per_row(self) -> float:
        return self.bytes / self.rows


def dataset_features(store: ObjectStore, version: DatasetVersion) -> list[FeatureSummary]:
    """Every recipe and codec in which at least one image shard of the version has features."""
    rows = {shard.images: shard.rows for shard in version.shards}
    summaries = []
    for recipe in list_recipes(store):
        found: dict[str, dict[str, ObjectInfo]] = {}
        for info in store.list(f"features/{recipe.digest}/"):
            parsed = parse_name(info.name)
            if parsed and parsed.parts["images"] in rows:
                found.setdefault(parsed.parts["codec"], {})[parsed.parts["images"]] = info
        for codec, by_shard in sorted(found.items()):
            summaries.append(
                FeatureSummary(
                    recipe=recipe,
                    codec=codec,
                    shards=len(by_shard),
                    rows=sum(rows[digest] for digest in by_shard),
                    bytes=sum(info.bytes for info in by_shard.values()),
                    complete=len(by_shard) == len(rows),
                    smallest=min(by_shard.values(), key=lambda info: (info.bytes, info.name)),
                )
            )
    return summaries


def codec_sizes(store: ObjectStore, version: DatasetVersion, recipe: Recipe, codecs: Sequence[str]) -> dict[str, float]:
    """Bytes of stored features per image, by codec, for those of ``codecs`` that there are."""
    return {
        summary.codec: summary.bytes_per_row
        for summary in dataset_features(store, version)
        if summary.recipe.digest == recipe.digest and summary.codec in codecs
    }
