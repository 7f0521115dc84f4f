"""How large an extraction batch may be: grow while memory allows and speed gains, halve when it does not.

HAPI (arXiv 2210.08650, section 5.5) adapts the batch to memory with profiled sizes; here each batch
that runs is itself the measurement.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# A size must beat the best so far by this much to be worth its memory.
_WORTHWHILE_GAIN = 1.02
# A size is judged by its best of so many runs: the first pays for allocations and compilation.
_RUNS_TO_JUDGE = 2
# The throughput curve is bumpy: look this many doublings past its best point before settling on it.
_PATIENCE = 2
# A line through two measurements is not the truth: keep this share of the budget free.
_RESERVE = 0.05


@dataclass
class BatchGrowth:
    """The extraction batch of one job, as it follows what is observed.

    Attributes:
        budget_bytes: what the whole process may occupy at its peak.
        idle_bytes: what it occupies with the network loaded and no batch running.
        max_batch: never beyond this.
        batch: the size to run next.
    """

    budget_bytes: int
    idle_bytes: int
    max_batch: int = 256
    batch: int = 1
    _rates: dict[int, float] = field(default_factory=dict)
    _runs: dict[int, int] = field(default_factory=dict)
    _peaks: dict[int, int] = field(default_factory=dict)
    _settled: bool = False

    @property
    def bytes_per_image(self) -> float:
        """Memory that one more image takes, the steepest yet seen."""
        points = sorted({0: self.idle_bytes, **self._peaks}.items())
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(points, points[1:], strict=False)]
        return max(slopes, default=0.0)

    def fits(self, batch: int) -> bool:
        """Whether a batch of this size is expected to stay within the budget."""
        if not self._peaks:
            return True
        largest = max(self._peaks)
        expected = self._peaks[largest] + (batch - largest) * self.bytes_per_image
        return expected <= self.budget_bytes * (1 - _RESERVE)

    def observe(self, batch: int, peak_bytes: int, seconds: float) -> None:
        """Take note of a batch that ran, and decide the next size."""
        if batch != self.batch:  # the short batch at a shard's end tells nothing
            return
        self._peaks[batch] = max(peak_bytes, self._peaks.get(batch, 0))
        self._rates[batch] = max(batch / seconds, self._rates.get(batch, 0.0))
        self._runs[batch] = self._runs.get(batch, 0) + 1
        if peak_bytes > self.budget_bytes:
            self._shrink()
        elif not self._settled and self._runs[batch] >= _RUNS_TO_JUDGE:
            self._grow()

    def out_of_memory(self, batch: int) -> None:
        """Take note of a batch that did not fit: from now on at most half of it."""
        self.max_batch = max(1, batch // 2)
        self.batch = min(self.batch, self.max_batch)
        self._settled = True

    def _grow(self) -> None:
        best = self._best()
        past_best = self.batch >= best << _PATIENCE
        if past_best or self.batch * 2 > self.max_batch or not self.fits(self.batch * 2):
            self._settled = True
            self.batch = best
        else:
            self.batch *= 2

    def _best(self) -> int:
        """The smallest size that no larger one beats by a worthwhile gain."""
        best = 1
        for batch, rate in sorted(self._rates.items()):
            if rate > self._rates.get(best, 0.0) * _WORTHWHILE_GAIN:
                best = batch
        return best

    def _shrink(self) -> None:
        self._settled = True
        self.batch = max(1, self.batch // 2)
        self.max_batch = self.batch
