"""Which recipes of one image shard are computed together, so that its images are decoded once for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hapistore_format import Recipe

from ..catalog.features import FeatureTask
from .pixels import ShardPixels


class Part(NamedTuple):
    """One image shard in one recipe."""

    recipe: Recipe
    task: FeatureTask

    @property
    def key(self) -> tuple[str, str]:
        """Digests of recipe and shard."""
        return self.recipe.digest, self.task.shard.images


def group_parts(parts: Sequence[Part], most: int) -> list[list[Part]]:
    """Parts of the same shard next to each other, at most ``most`` in a group; shards in their order."""
    by_shard: dict[str, list[Part]] = {}
    for part in parts:
        by_shard.setdefault(part.task.shard.images, []).append(part)
    return [of[first : first + most] for of in by_shard.values() for first in range(0, len(of), most)]


def pixels_of(group: Sequence[Part]) -> ShardPixels:
    """What a group's recipes want of its shard."""
    return ShardPixels(group[0].task.shard, tuple(part.recipe.augmentation for part in group))
