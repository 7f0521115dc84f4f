"""How much memory an extraction batch takes: a line, fitted from few runs and corrected by all later ones.

**The estimator.** Noise is lopsided: the first run pays for caches and compilation, an allocator keeps what it once had
and rounds up; nothing makes a run look smaller than it is. So each batch size counts by its lowest peak, the slope is
Theil and Sen's (the median over all pairs of sizes, which one wrong point of four cannot move far), and the line passes
through the median of what is left. Least squares would follow the first run.

**The bound** that admission uses is that line, raised until nothing that was seen is above it. Beyond the largest
size seen it climbs faster: by what noise may have hidden from the slope over the sizes seen (little, once they are
far apart), and by a share for curves that are no lines.

**Forgetting.** A highest peak counts for the 32 to 64 runs after it, of any size. Without an end, one peak that
another thread caused would shrink a job for good, and be cached for the next; forgotten at once, it would be allowed
again. What running out of memory has added is halved in the same rhythm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from statistics import median
from typing import Any

# Allocators hand out arenas and huge pages: no peak is known more finely.
_NOISE_BYTES = 4 << 20
# A slope measured over small sizes may be too small by this much beyond them: eager PyTorch's was.
_CURVATURE = 0.15
# Runs after which highest peaks begin to be forgotten.
_WINDOW = 32
_SIZES = 32
# After running out of memory, an image counts for this much more.
_RAISE = 1.25
_MOST_BYTES, _MOST_IMAGES = 1 << 50, 1 << 30


@dataclass(frozen=True)
class Peaks:
    """What was seen of one extraction-batch size: peaks in bytes, of this window of runs and of the one before."""

    batch: int
    lowest: int
    highest: int
    before: int = 0

    @property
    def most(self) -> int:
        """The highest that is not forgotten."""
        return max(self.highest, self.before, self.lowest)


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """Memory of one prefix in one precision on one device, in bytes over what it occupies when idle.

    Attributes:
        seen: peaks by extraction-batch size, ascending, at most 32 sizes.
        runs: runs in the current window.
        raised: factor on everything since memory ran out; 1 where it never did.
    """

    seen: tuple[Peaks, ...]
    runs: int = 0
    raised: float = 1.0

    @classmethod
    def fit(cls, probes: Iterable[tuple[int, int]]) -> MemoryModel:
        """A model of at least one probe, each an extraction batch and its peak in bytes, in order of running.

        Raises:
            ValueError: there is no probe.
        """
        model = cls(seen=())
        for batch, peak in probes:
            model = model.observe(batch, peak)
        if not model.seen:
            raise ValueError("a memory model needs at least one probe")
        return model

    def observe(self, batch: int, peak_bytes: int) -> MemoryModel:
        """The model corrected by one more run. Its bound is at no size from ``batch`` on below this peak."""
        peak = max(0, peak_bytes)
        by_batch = {peaks.batch: peaks for peaks in self.seen}
        old = by_batch.get(batch, Peaks(batch, peak, peak))
        by_batch[batch] = replace(old, lowest=min(old.lowest, peak), highest=max(old.highest, peak))
        seen = _at_most(sorted(by_batch.values(), key=lambda peaks: peaks.batch))
        if self.runs + 1 < _WINDOW:
            return replace(self, seen=tuple(seen), runs=self.runs + 1)
        aged = tuple(replace(peaks, highest=peaks.lowest, before=peaks.highest) for peaks in seen)
        return replace(self, seen=aged, runs=0, raised=1 + (self.raised - 1) / 2)

    def plus(self, fixed_bytes: int, bytes_per_image: int = 0) -> MemoryModel:
        """The model of the same and so much besides, at every size that was seen."""
        more = [(peaks, fixed_bytes + bytes_per_image * peaks.batch) for peaks in self.seen]
        seen = [
            replace(p, lowest=p.lowest + add, highest=p.highest + add, before=p.before and p.before + add)
            for p, add in more
        ]
        return replace(self, seen=tuple(seen))

    def out_of_memory(self) -> MemoryModel:
        """The model after an allocation failed that it had allowed: everything counts for a quarter more."""
        return replace(self, raised=self.raised * _RAISE)

    @cached_property
    def bytes_per_image(self) -> float:
        """Slope of the line; of one size alone, its whole peak by its images."""
        if len(self.seen) == 1:
            return self.seen[0].lowest / self.seen[0].batch
        slopes = [(b.lowest - a.lowest) / (b.batch - a.batch) for a, b in combinations(self.seen, 2)]
        return max(0.0, median(slopes))

    @cached_property
    def fixed_bytes(self) -> float:
        """What the line has at no image."""
        return max(0.0, median(peaks.lowest - self.bytes_per_image * peaks.batch for peaks in self.seen))

    def expected_bytes(self, batch: int) -> float:
        """What an extraction batch will likely take."""
        return self.raised * (self.fixed_bytes + self.bytes_per_image * batch)

    def upper_bytes(self, batch: int) -> float:
        """What an extraction batch takes at most, as far as can be told: rising, and convex."""
        line = self.fixed_bytes + self.bytes_per_image * batch
        beyond = max(0, batch - self.largest) * self._caution
        return self.raised * (line + self._lift + beyond)

    def largest_within(self, budget_bytes: float, most: int) -> int:
        """The largest extraction batch up to ``most`` whose upper bound is within a budget; 0 where none is."""
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.upper_bytes(middle) <= budget_bytes else (low, middle - 1)
        return low

    @property
    def largest(self) -> int:
        """The largest extraction batch seen."""
        return self.seen[-1].batch

    @cached_property
    def _lift(self) -> float:
        return max(0.0, *(p.most - self.fixed_bytes - self.bytes_per_image * p.batch for p in self.seen))

    @cached_property
    def _caution(self) -> float:
        """Bytes that an image beyond the largest size seen may take over the slope."""
        span = self.seen[-1].batch - self.seen[0].batch
        if not span:
            # Its whole peak is in the slope already; but what a first image took may be in what counts as idle.
            return self.bytes_per_image
        noise = max(_NOISE_BYTES, median(peaks.most - peaks.lowest for peaks in self.seen))
        return 2 * noise / span + _CURVATURE * self.bytes_per_image

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``from_json``."""
        seen = [[peaks.batch, peaks.lowest, peaks.highest, peaks.before] for peaks in self.seen]
        return {"seen": seen, "runs": self.runs, "raised": self.raised}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> MemoryModel:
        """The model that ``to_json`` wrote.

        Raises:
            ValueError: it is none: something is absent, of another type, or out of range.
        """
        try:
            seen = tuple(Peaks(*map(_whole, row)) for row in value["seen"])
            runs, raised = _whole(value["runs"]), float(value["raised"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no memory model: {error!r}") from None
        batches = [peaks.batch for peaks in seen]
        orderly = batches == sorted(set(batches)) and 1 <= len(seen) <= _SIZES and batches[0] >= 1
        if not orderly or batches[-1] > _MOST_IMAGES or runs >= _WINDOW or not 1 <= raised <= 1e6:
            raise ValueError("no memory model: sizes are not in order, or out of range")
        if any(peaks.lowest > peaks.highest for peaks in seen):
            raise ValueError("no memory model: a lowest peak is above the highest")
        return cls(seen=seen, runs=runs, raised=raised)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_BYTES:
        raise ValueError(f"no memory model: {value!r} is no number of bytes or images")
    return value


def _at_most(seen: list[Peaks]) -> list[Peaks]:
    """Without the size nearest to the one below it, once there are too many; its highest peak is that one's now."""
    if len(seen) <= _SIZES:
        return seen
    place = min(range(1, len(seen) - 1), key=lambda i: seen[i].batch / seen[i - 1].batch)
    kept, dropped = seen[place - 1], seen[place]
    kept = replace(kept, highest=max(kept.highest, dropped.highest), before=max(kept.before, dropped.before))
    return [*seen[: place - 1], kept, *seen[place + 1 :]]
