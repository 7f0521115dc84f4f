"""Ways to choose among candidates, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import UsageError
from .epoch_cost import Candidate
from .profile import SHIP_IMAGES, ModelProfile
from .resources import Resources

Policy = Callable[[ModelProfile, Resources, Sequence[Candidate]], Candidate]
"""Chooses one of at least one candidate, which ascend by index."""

# HAPI allows a training batch's features this long on the link (arXiv 2210.08650, its splitting algorithm).
_HAPI_LINK_S = 1.0


def by_cost(profile: ModelProfile, resources: Resources, candidates: Sequence[Candidate]) -> Candidate:
    """The smallest worst case; of equals the shortest usual epoch, then the fewest bytes, then the earliest."""
    return min(candidates, key=lambda one: (one.worst_epoch_s, one.epoch_s, one.cut.bytes_per_image))


def by_hapi(profile: ModelProfile, resources: Resources, candidates: Sequence[Candidate]) -> Candidate:
    """HAPI's rule: the earliest cut whose output is smaller than the input, and of which a training batch crosses
    the link within a second; else the freeze point."""
    limit = resources.link_bytes_per_s * _HAPI_LINK_S
    for one in _cuts(candidates, "hapi"):
        size = one.cut.bytes_per_image
        if size < profile.input_bytes_per_image and size * resources.batch_size <= limit:
            return one
    return by_freeze(profile, resources, candidates)


def by_freeze(profile: ModelProfile, resources: Resources, candidates: Sequence[Candidate]) -> Candidate:
    """The last cut before anything trainable."""
    return _cuts(candidates, "freeze")[-1]


def by_size(profile: ModelProfile, resources: Resources, candidates: Sequence[Candidate]) -> Candidate:
    """The fewest bytes an image, images included; of equals the earliest."""
    return min(candidates, key=lambda one: one.cut.bytes_per_image)


def ship_images(profile: ModelProfile, resources: Resources, candidates: Sequence[Candidate]) -> Candidate:
    """No cut: the images cross the link."""
    if candidates[0].cut.index != SHIP_IMAGES:
        raise UsageError(f"policy none ships images, and the profile has no cut of index {SHIP_IMAGES}; add it there")
    return candidates[0]


POLICIES: dict[str, Policy] = {
    "cost": by_cost, "hapi": by_hapi, "freeze": by_freeze, "smallest": by_size, "none": ship_images,
}  # fmt: skip


def _cuts(candidates: Sequence[Candidate], policy: str) -> list[Candidate]:
    """Those that cut the network.

    Raises:
        UsageError: there are none.
    """
    cuts = [one for one in candidates if one.cut.index != SHIP_IMAGES]
    if not cuts:
        raise UsageError(f"policy {policy} cuts the network, and the profile has no cut up to its freeze_index")
    return cuts
