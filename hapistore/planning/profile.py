"""What is known of a network at each of its cuts, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..errors import UsageError

SHIP_IMAGES = 0
"""Index of the cut before the first layer: the images themselves cross the link."""


@dataclass(frozen=True, kw_only=True)
class CodecCost:
    """What features of one cut cost in a codec.

    Attributes:
        bytes_per_image: encoded.
        storage_s_per_image: encoding, beside what the prefix takes.
        compute_s_per_image: decoding, beside what the tail takes.
    """

    bytes_per_image: float
    storage_s_per_image: float
    compute_s_per_image: float


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
        storage_fixed_s: seconds of the storage tier before the first image: loading and compiling the prefix.
        memory_fixed_bytes, memory_bytes_per_image: what the prefix takes there, for an extraction batch of n:
            ``fixed + n * per image``.
        codecs: what changes where features are stored in a codec, by its spec string.
    """

    index: int
    name: str
    bytes_per_image: float
    storage_s_per_image: float
    compute_s_per_image: float
    storage_s_high: float | None = None
    compute_s_high: float | None = None
    storage_fixed_s: float = 0.0
    memory_fixed_bytes: float = 0.0
    memory_bytes_per_image: float = 0.0
    codecs: Mapping[str, CodecCost] = field(default_factory=dict)

    def through(self, codec: str) -> CutProfile:
        """The cut with its features in a codec; images are what they are.

        Raises:
            UsageError: that codec was not measured.
        """
        if self.index == SHIP_IMAGES:
            return self
        if codec not in self.codecs:
            known = ", ".join(self.codecs) or "no codec"
            raise UsageError(f"codec {codec} was not measured at cut {self.index} ({self.name}), but {known}")
        cost = self.codecs[codec]

        def plus(high: float | None, more: float) -> float | None:
            return None if high is None else high + more

        return replace(
            self,
            bytes_per_image=cost.bytes_per_image,
            storage_s_per_image=self.storage_s_per_image + cost.storage_s_per_image,
            compute_s_per_image=self.compute_s_per_image + cost.compute_s_per_image,
            storage_s_high=plus(self.storage_s_high, cost.storage_s_per_image),
            compute_s_high=plus(self.compute_s_high, cost.compute_s_per_image),
            codecs={},
        )


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
        about: what was measured where, for people.
    """

    input_bytes_per_image: float
    freeze_index: int
    images: int
    overlapped: bool
    cuts: tuple[CutProfile, ...]
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def candidates(self) -> tuple[CutProfile, ...]:
        """The cuts that leave everything trainable to the tail."""
        return tuple(cut for cut in self.cuts if cut.index <= self.freeze_index)

    def through(self, codec: str) -> ModelProfile:
        """The same with all features in a codec.

        Raises:
            UsageError: that codec was not measured.
        """
        return replace(self, cuts=tuple(cut.through(codec) for cut in self.cuts))
