"""How near an executor's features are to those that define them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hapistore_format.recipe import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of features with eager float32's, the worst of the images that were compared.

    Attributes:
        of_largest: largest difference of a value, in parts of the largest magnitude among its image's features.
        cosine: least cosine between an image's features.
    """

    of_largest: float
    cosine: float

    def within(self, precision: str) -> bool:
        """Whether that is what a precision allows. NaN is not."""
        bound = PRECISIONS[precision]
        return self.of_largest <= bound.of_largest and self.cosine >= bound.least_cosine

    def __str__(self) -> str:
        return f"off by {self.of_largest:.1e} of the largest feature, cosine {self.cosine:.5f}"


def compare(found: np.ndarray, expected: np.ndarray) -> Agreement:
    """Compare features of the same images.

    Args:
        found, expected: float32 [n, *shape].
    """
    if found.shape != expected.shape:
        return Agreement(of_largest=float("nan"), cosine=float("nan"))
    one, other = (np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in (found, expected))
    largest = np.abs(other).max(axis=1)
    of_largest = np.abs(one - other).max(axis=1) / np.where(largest > 0, largest, 1.0)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    # Features that are all zero have no direction; where both are, they are equal.
    both_zero = ~one.any(axis=1) & ~other.any(axis=1)
    cosine = np.where(both_zero, 1.0, (one * other).sum(axis=1) / np.where(norms > 0, norms, 1.0))
    return Agreement(of_largest=float(of_largest.max()), cosine=float(cosine.min()))
