"""What there is to train with: the link, the tiers' sharing, and where features may be kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Resources:
    """A training job's surroundings.

    Attributes:
        link_bytes_per_s: from the storage tier to the compute tier, what this job gets of it.
        batch_size: of training batches.
        epochs: how many are trained.
        link_low_bytes_per_s: the least that the link was seen to give; None: it always gives the same.
        link_delay_s: from a request to the first byte of its answer.
        augmented: features are computed anew for each epoch (random augmentation), so none are kept. Images are.
        disk_bytes: what features may take in the storage tier; a cut with more recomputes them. None: no limit.
        cache_bytes: what the compute tier keeps between epochs of what has crossed the link.
        tenants: how many share the storage tier evenly, this job among them.
        memory_bytes: what a prefix and an extraction batch of one image may take in the storage tier; cuts that take
            more are no candidates. None: no limit.
        extracted_first: features that are kept are all there before the first epoch begins, in place of coming while
            it goes on.
    """

    link_bytes_per_s: float
    batch_size: int
    epochs: int = 1
    link_low_bytes_per_s: float | None = None
    link_delay_s: float = 0.0
    augmented: bool = False
    disk_bytes: float | None = None
    cache_bytes: float = 0.0
    tenants: int = 1
    memory_bytes: float | None = None
    extracted_first: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.slowest_link_bytes_per_s <= self.link_bytes_per_s < math.inf:
            raise UsageError(
                f"the link gives {self.link_bytes_per_s:g} bytes/s, at least {self.slowest_link_bytes_per_s:g}; "
                "expected above 0, and the least no more than the usual"
            )
        for name in ("batch_size", "epochs", "tenants"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 1 or more")
        for name in ("link_delay_s", "disk_bytes", "cache_bytes", "memory_bytes"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"{name} is {value}, expected 0 or more")

    @property
    def slowest_link_bytes_per_s(self) -> float:
        """The least that the link gives."""
        return self.link_bytes_per_s if self.link_low_bytes_per_s is None else self.link_low_bytes_per_s
