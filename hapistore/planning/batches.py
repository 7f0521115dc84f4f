"""How large an extraction batch of one job may be: three probes, a jump to what fits, and back to the knee.

Every extraction batch is work that has to be done anyway, so each one is a measurement that costs nothing. With a
model and a curve from an earlier run the first batch is the best one already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isqrt
from statistics import median

from .memory_model import MemoryModel
from .throughput import ThroughputCurve

# A size is judged by the median of its runs but the first, which pays for allocations and compilation. They take so
# long together, as single runs of a few milliseconds vary in both directions; or there are so many.
_SECONDS_TO_JUDGE, _FEWEST_RUNS, _MOST_RUNS = 0.15, 2, 16
_PROBES = (2, 8)
# No further beyond the largest size seen, in one jump.
_LONGEST_JUMP = 16
# Around each forward pass a batch is collected, threads are woken, and results handed on: 2 ms on two cores, which
# the pass itself does not show.
_AROUND_S = 0.002
# The throughput curve is bumpy: only a climb of this much without a gain ends the search.
_PATIENCE = 4
# Sizes that are tried are at most this far apart, beside the knee and elsewhere, and there are no more than so many.
_NEAR, _FAR, _MOST_SIZES = 1.7, 4, 12
# What is gained by a climb must be worth two runs: 5 % more images.
_WORTHWHILE_CLIMB = 1.05
# The rest of the process is not still: keep this share of the budget free. And the same batch does not always take
# the same: of what is not idle, so much is kept back.
_RESERVE, _SPREAD = 0.03, 0.1
# Memory that a batch took stays with the allocator for a while after smaller ones follow.
_RUNS_TO_RECEDE = 4


@dataclass
class BatchSearch:
    """The extraction batch of one job, as it follows what is observed.

    Attributes:
        budget_bytes: what the whole process may occupy at its peak.
        idle_bytes: what it occupies with the network loaded and no batch running.
        max_batch: never beyond this.
        model: memory over ``idle_bytes``; curve: throughput; both from an earlier run, or none.
        aim: ``knee`` or ``memory``, as in `plan_batches`.
        batch: the size to run next.
        settled: whether it stays, unless memory runs out.
    """

    budget_bytes: int
    idle_bytes: int
    max_batch: int = 256
    model: MemoryModel | None = None
    curve: ThroughputCurve = field(default_factory=ThroughputCurve)
    aim: str = "knee"
    batch: int = field(default=1, init=False)
    settled: bool = field(default=False, init=False)
    _here: ThroughputCurve = field(default_factory=ThroughputCurve, init=False)
    _runs: dict[int, list[float]] = field(default_factory=dict, init=False)
    _over: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        knee = self.curve.knee()
        if self.model and knee:
            top = self.largest_fitting()
            self.batch = top if self.aim == "memory" else min(top, knee)
            # More memory than the curve has been seen with: go on from there.
            self.settled = self.batch == top or self.curve.rates[-1][0] > knee

    def largest_fitting(self) -> int:
        """The largest extraction batch that is expected to stay within the budget; at least 1."""
        if self.model is None:
            return 1
        room = self.budget_bytes * (1 - _RESERVE) - self.idle_bytes
        if self.model.largest == 1:  # one more image takes no more than the first
            return 2 if self.max_batch > 1 and self.model.expected_bytes(2) <= room else 1
        most = min(self.max_batch, _LONGEST_JUMP * self.model.largest)
        return max(1, self.model.largest_within(room / (1 + _SPREAD), most))

    def observe(self, batch: int, peak_bytes: int, seconds: float) -> None:
        """Take note of a batch that ran, and decide the next size."""
        if peak_bytes > self.budget_bytes:
            self._exceeded(batch, peak_bytes)
        elif batch == self.batch:  # the short batch at a shard's end tells nothing
            self._over = 0
            self._note(batch, peak_bytes, seconds)
            if self._judge(batch) and not self.settled:
                self._advance()

    def out_of_memory(self, batch: int) -> None:
        """Take note of a batch that did not fit: from now on at most half of it."""
        if self.model:
            self.model = self.model.out_of_memory()
        self._bound(batch // 2)

    def _note(self, batch: int, peak_bytes: int, seconds: float) -> None:
        # After a larger batch its memory is still there: what a smaller one takes can't be told any more.
        if batch >= max(self._runs, default=0):
            self.model = (self.model or MemoryModel(seen=())).observe(batch, peak_bytes - self.idle_bytes)
        runs = self._runs.setdefault(batch, [])
        if len(runs) < _MOST_RUNS:
            runs.append(seconds)

    def _judge(self, batch: int) -> bool:
        """Whether it has run often enough to tell its throughput, which goes into the curves then."""
        runs = self._runs[batch]
        if len(runs) < _FEWEST_RUNS:
            return False
        if self.aim == "knee" and sum(runs[1:]) < _SECONDS_TO_JUDGE and len(runs) < _MOST_RUNS:
            return False
        typical = median(runs[1:]) + _AROUND_S
        self.curve, self._here = self.curve.observe(batch, typical), self._here.observe(batch, typical)
        return True

    def _advance(self) -> None:
        top, largest = self.largest_fitting(), max(self._runs)
        if self.batch == largest and top > largest * _WORTHWHILE_CLIMB and self._climbing():
            self.batch = min([top, *(size for size in _PROBES if size > largest)])
            return
        if self.aim == "memory":
            self.batch, self.settled = min(top, largest), True
            return
        gap = self._widest_gap()
        if gap and len(self._runs) < _MOST_SIZES:
            self.batch = isqrt(gap[0] * gap[1])
        else:
            self.batch, self.settled = self._here.knee() or 1, True

    def _widest_gap(self) -> tuple[int, int] | None:
        """Neighbouring sizes that are too far apart to know what is between them."""
        knee = self._here.knee()
        gaps = [
            (above / below, below, above)
            for below, above in pairwise(sorted(self._runs))
            if isqrt(below * above) > below
            and (above == knee or below >= min(knee or 1, _PROBES[-1]))
            and above > below * (_NEAR if knee in (below, above) else _FAR)
        ]
        return max(gaps)[1:] if gaps else None

    def _climbing(self) -> bool:
        """Whether a larger batch may still bring something: the last climb did, or was a short one."""
        if len(self._runs) >= _MOST_SIZES:
            return False
        knee = self._here.knee() or 1
        return self.aim == "memory" or max(self._runs) < _PROBES[-1] or max(self._runs) < _PATIENCE * knee

    def _exceeded(self, batch: int, peak_bytes: int) -> None:
        """Smaller at once; and again only if memory does not recede."""
        self._over += 1
        if self._over == 1:
            self.model = (self.model or MemoryModel(seen=())).observe(batch, peak_bytes - self.idle_bytes)
            self._bound(min(batch - 1, self.largest_fitting()))
        elif self._over > 1 + _RUNS_TO_RECEDE:
            self._over = 1
            self._bound(min(batch, self.batch) // 2)

    def _bound(self, most: int) -> None:
        self.max_batch = max(1, min(self.max_batch, most))
        self.batch = min(self.batch, self.max_batch)
        self.settled = True
