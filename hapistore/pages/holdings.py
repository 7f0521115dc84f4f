"""What a store holds of a dataset version, in bytes: its images, and each kind of features beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hapistore_format import DatasetVersion, Recipe

from ..catalog import FeatureSummary, dataset_features
from ..catalog.names import weights_name
from ..catalog.variants import family_name
from ..stores import ObjectStore
from .making import Made, read_made


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of one recipe in one codec; or of all variants that belong together, which readers open together.

    Attributes:
        label: of the recipe, told apart from others of that name; recipes: their digests.
        variants: how many there are; 0 of images as they are.
        shards: image shards that have features, in the variant that has the fewest; of_shards: that there are.
        bytes: as stored, of all variants. epoch_bytes: what an epoch pulls, where nothing is kept from the last;
            estimated from the shards that there are where some are missing.
        made: what one of the shards says of how it was made; None where the smallest is large.
    """

    label: str
    codec: str
    recipes: tuple[str, ...]
    variants: int
    shards: int
    of_shards: int
    bytes: int
    epoch_bytes: int
    made: Made | None

    @property
    def complete(self) -> bool:
        """Whether no shard lacks features."""
        return self.shards == self.of_shards

    @property
    def name(self) -> str:
        """Label and codec in a line."""
        return f"{self.label} · {self.codec}"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One dataset version.

    Attributes:
        features: those of images as they are first, the others behind; by label, then the smaller first.
        weights_bytes: of the frozen weights that the recipes name, which datasets share.
    """

    version: DatasetVersion
    features: tuple[Features, ...]
    weights_bytes: int

    @property
    def feature_bytes(self) -> int:
        """All features of this version together, as stored."""
        return sum(one.bytes for one in self.features)

    @property
    def recipes(self) -> int:
        """How many have features, each variant one of its own."""
        return len({digest for one in self.features for digest in one.recipes})

    @property
    def smallest(self) -> Features | None:
        """The complete features of which an epoch pulls the least; of images as they are, where there are any."""
        whole = [one for one in self.features if one.complete]
        return min(whole, key=lambda one: (one.variants > 0, one.epoch_bytes), default=None)

    def per_image(self, size: int) -> float:
        """Bytes of all images as bytes of one."""
        return size / self.version.rows


def holding_of(store: ObjectStore, version: DatasetVersion) -> Holding:
    """Add up a version's shards as the store lists them. Of each kind of features one small shard is read.

    Raises:
        FormatError, NotFound: what is read is damaged, or gone.
    """
    summaries = dataset_features(store, version)
    families: dict[tuple[str, str, str], list[FeatureSummary]] = {}
    for summary in summaries:
        recipe = summary.recipe
        families.setdefault((recipe.plain.digest, family_name(recipe), summary.codec), []).append(summary)
    labels = _labels([summary.recipe for summary in summaries])
    features = [_features(store, version, labels, family) for family in families.values()]
    features.sort(key=lambda one: (one.variants > 0, one.label, one.epoch_bytes, one.codec))
    weights = {summary.recipe.weights for summary in summaries}
    # Listed, not asked for: a store without them has features that can be read all the same.
    sizes = [info.bytes for digest in sorted(weights) for info in store.list(weights_name(digest))]
    return Holding(version=version, features=tuple(features), weights_bytes=sum(sizes))


def _features(
    store: ObjectStore, version: DatasetVersion, labels: dict[str, str], family: Sequence[FeatureSummary]
) -> Features:
    first = family[0].recipe
    variants = len(family) if first.augmentation else 0
    label = labels[first.plain.digest]
    return Features(
        label=f"{label} + {variants} × {family_name(first)}" if variants else label,
        codec=family[0].codec,
        recipes=tuple(summary.recipe.digest for summary in family),
        variants=variants,
        shards=min(summary.shards for summary in family),
        of_shards=len({shard.images for shard in version.shards}),
        bytes=sum(summary.bytes for summary in family),
        epoch_bytes=round(sum(summary.bytes_per_row for summary in family) * version.rows),
        made=read_made(store, min((summary.smallest for summary in family), key=lambda info: (info.bytes, info.name))),
    )


def _labels(recipes: Sequence[Recipe]) -> dict[str, str]:
    """What to call each plain recipe, by its digest: its label, and the digest too where others have the same."""
    plain = {recipe.plain.digest: recipe.plain.label for recipe in recipes}
    often = Counter(plain.values())
    return {digest: label if often[label] == 1 else f"{label} ({digest[:8]})" for digest, label in plain.items()}
