"""Ways to choose among candidates, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..errors import UsageError
from .epoch_cost import Candidate, candidate_of
from .noise import without_noise
from .profile import SHIP_IMAGES, ModelProfile
from .resources import Resources

Policy = Callable[[ModelProfile, Resources, Sequence[Candidate]], Candidate]
"""Chooses one of at least one candidate, which ascend by index."""

# HAPI allows a training batch's features this long on the link (arXiv 2210.08650, its splitting algorithm).
_HAPI_LINK_S = 1.0
_MOST_NOISE = 0.1
_NO_NOISE = 1e-6  # what rounding leaves


def by_cost(profile: ModelProfile, resources: Resources, candidates: Sequence[Candidate]) -> Candidate:
    """The smallest worst case; where candidates are alike within the noise that the profile shows, the fewest bytes.

    Bytes are known, seconds were measured: a link and a disk that are spared are a gain that is certain. A choice is
    at most a tenth behind the best by the profile's own numbers, and a profile that strays further than that from
    what networks show is taken at its word.
    """
    at_its_word = min(candidates, key=lambda one: (one.worst_epoch_s, one.epoch_s, one.cut.bytes_per_image))
    clean = without_noise(profile)
    clean_s = [candidate_of(clean, cut, resources).worst_epoch_s for cut in clean.candidates]
    pairs = [(one, seconds) for one, seconds in zip(candidates, clean_s, strict=True) if seconds > 0]
    noise = math.hypot(*(one.worst_epoch_s / seconds - 1 for one, seconds in pairs)) / math.sqrt(len(pairs) or 1)
    if noise > _MOST_NOISE:
        return at_its_word
    near = [pair for pair in pairs if pair[0].worst_epoch_s <= at_its_word.worst_epoch_s * (1 + _MOST_NOISE)]
    limit = min((seconds for _, seconds in near), default=0.0) * (1 + noise)
    alike = [pair for pair in near if pair[1] <= limit]
    return min(alike, key=lambda pair: (pair[0].cut.bytes_per_image, pair[1]))[0] if noise > _NO_NOISE else at_its_word


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
