"""A profile without the noise that shows in it.

More of a network never takes the storage tier less time, nor a shorter tail the compute tier more; and features take
time by their size to write, send and read. So seconds are a part that only rises (falls) with depth, and a part in
proportion to the bytes. The nearest such profile is taken: isotonic regression (Barlow et al., 1972) on relative
errors, with one covariate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .profile import SHIP_IMAGES, CutProfile, ModelProfile

# What is below this part of the largest counts as this much, so that zeros do not count for everything.
_LEAST = 1e-3


def without_noise(profile: ModelProfile) -> ModelProfile:
    """The profile with its candidates' seconds smoothed.

    Images that are shipped are left as they are: a decoder's time has nothing to do with that of features.
    """
    cuts = [cut for cut in profile.candidates if cut.index != SHIP_IMAGES]
    if len(cuts) < 2:
        return profile
    sizes = np.array([cut.bytes_per_image for cut in cuts])
    storage = _smooth([cut.storage_s_per_image for cut in cuts], sizes, rising=True)
    compute = _smooth([cut.compute_s_per_image for cut in cuts], sizes, rising=False)
    smooth = [_scaled(*each) for each in zip(cuts, storage, compute, strict=True)]
    images = [cut for cut in profile.candidates if cut.index == SHIP_IMAGES]
    return replace(profile, cuts=(*images, *smooth))


def _scaled(cut: CutProfile, storage_s: float, compute_s: float) -> CutProfile:
    """A cut with other usual seconds, and the most that was measured as much more or less."""

    def high(old: float | None, usual: float, new: float) -> float | None:
        return None if old is None else old * new / usual if usual else old

    return replace(
        cut,
        storage_s_per_image=storage_s,
        compute_s_per_image=compute_s,
        storage_s_high=high(cut.storage_s_high, cut.storage_s_per_image, storage_s),
        compute_s_high=high(cut.compute_s_high, cut.compute_s_per_image, compute_s),
    )


def _smooth(seconds: Sequence[float], sizes: NDArray[np.float64], *, rising: bool) -> list[float]:
    from scipy.optimize import isotonic_regression, minimize_scalar  # half a second, and only plans need it

    measured = np.array(seconds)
    if not measured.any():
        return list(seconds)
    unit_s = float(measured.max())
    measured, parts = measured / unit_s, sizes / max(float(sizes.max()), 1.0)
    weights = 1 / np.maximum(measured, _LEAST) ** 2

    def of_depth(largest_s: float) -> NDArray[np.float64]:
        found: NDArray[np.float64] = isotonic_regression(
            measured - largest_s * parts, weights=weights, increasing=rising
        ).x
        return np.maximum(found, 0.0)  # the nearest that is nowhere below 0

    def error(largest_s: float) -> float:
        return float(weights @ (measured - largest_s * parts - of_depth(largest_s)) ** 2)

    # Seconds of the largest features by their size alone, of which at most all are: convex, so one minimum.
    found_s = float(minimize_scalar(error, bounds=(0, 1), options={"xatol": 1e-9}).x)
    largest_s = min(0.0, found_s, key=error)
    return [unit_s * float(value) for value in of_depth(largest_s) + largest_s * parts]
