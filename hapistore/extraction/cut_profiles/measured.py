"""A network's profile over a dataset version: what was kept of an earlier plan, or measured now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from hapistore_format import DatasetVersion

from ...errors import UsageError
from ...images import Preprocess
from ...models import TracedNetwork
from ...planning import SHIP_IMAGES, ModelProfile
from ...stores import ObjectStore
from .kept import KeptProfile
from .measuring import ProfileOptions, profile_cuts
from .sample import sample_images


def measured_profile(
    network: TracedNetwork,
    store: ObjectStore,
    version: DatasetVersion,
    preprocess: Preprocess,
    options: ProfileOptions,
    *,
    name: str,
    sample: int = 16,
    on_progress: Callable[[int, int], None] | None = None,
) -> ModelProfile:
    """What each cut costs on this machine. It is measured once, and kept for the next plan.

    Args:
        name: the network's, in recipes.
        sample: images to measure with.
        on_progress: called with (cuts measured, cuts in all), where it is measured.

    Raises:
        UsageError: as `profile_cuts`. HapistoreError: the store cannot be read, or no image can be decoded.
    """
    images = hashlib.sha256("".join(shard.images for shard in version.shards).encode()).hexdigest()
    kept = KeptProfile(network, images, preprocess, options, name=name)
    known = kept.load()
    if known is not None:
        return known
    found = sample_images(store, version, preprocess, count=sample)
    profile = profile_cuts(network, found, preprocess, options, name=name, on_progress=on_progress)
    kept.save(profile)
    return profile


def check_cut(network: TracedNetwork, at: int | str | None) -> None:
    """Refuse a cut that cannot be, before anything is measured.

    Args:
        at: index or name of a cut, or `SHIP_IMAGES`; None: none is asked for.

    Raises:
        UsageError: there is none of that index or name up to the freeze index.
    """
    possible = [one for cut in network.cuts[: network.freeze_index] for one in (cut.index, cut.name)]
    if at not in (None, SHIP_IMAGES, *possible):
        raise UsageError(
            f"cut {at!r} is none that can be; there are 1 to {network.freeze_index}, or by name "
            f"{', '.join(map(str, possible[1::2]))}; 0 ships the images"
        )
