"""What is known of a network at each of its cuts, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

SHIP_IMAGES = 0
"""Index of the cut before the first layer: the images themselves cross the link."""


@dataclass(frozen=True, kw_only=True)
class CutProfile:
    """One cut, and what an image costs there.

    Attributes:
        index: position in the network, ascending with depth; `SHIP_IMAGES` for none of it.
        name: for people.
        bytes_per_image: what crosses the link.
        storage_s_per_image: seconds of the storage tier: all up to the cut.
        compute_s_per_image: seconds of the compute tier: decoding, remaining frozen layers, the tail's training step.
        storage_s_high, compute_s_high: the most that was measured of these; None: they were measured once.
    """

    index: int
    name: str
    bytes_per_image: float
    storage_s_per_image: float
    compute_s_per_image: float
    storage_s_high: float | None = None
    compute_s_high: float | None = None


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """A network over one dataset.

    Attributes:
        input_bytes_per_image: an image as it is stored.
        freeze_index: the last cut before anything trainable.
        images: of one epoch.
        overlapped: whether storage tier, link and compute tier work at the same time, on different training
            batches; else one after the other, batch by batch.
        cuts: ascending by index, no index twice; at least one at or before the freeze index.
    """

    input_bytes_per_image: float
    freeze_index: int
    images: int
    overlapped: bool
    cuts: tuple[CutProfile, ...]

    @property
    def candidates(self) -> tuple[CutProfile, ...]:
        """The cuts that leave everything trainable to the tail."""
        return tuple(cut for cut in self.cuts if cut.index <= self.freeze_index)
