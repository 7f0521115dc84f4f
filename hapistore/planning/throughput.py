"""Images a second by extraction batch, and the knee beyond which larger ones bring nothing."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

# The knee is the smallest size within this share of the best.
_NEAR_BEST = 0.98
_SIZES = 64


@dataclass(frozen=True, kw_only=True)
class ThroughputCurve:
    """Observed rates, smoothed to never fall.

    Other work on the machine only ever slows a run, so the best run of a size counts. Whoever may run extraction
    batches of n may as well run smaller ones, so the rate at n is the best of any size up to n: bumps and the
    decline past a cache's size disappear.

    Attributes:
        rates: (extraction batch, images a second), batches ascending, at most 64 of them.
    """

    rates: tuple[tuple[int, float], ...] = ()

    def observe(self, batch: int, seconds: float) -> ThroughputCurve:
        """The curve with one more run. New sizes beyond the 64th are ignored."""
        rates = dict(self.rates)
        if batch not in rates and len(rates) >= _SIZES:
            return self
        rates[batch] = max(rates.get(batch, 0.0), batch / max(seconds, 1e-9))
        return replace(self, rates=tuple(sorted(rates.items())))

    @cached_property
    def smoothed(self) -> tuple[tuple[int, float], ...]:
        """(extraction batch, best rate of any size up to it)."""
        found, best = [], 0.0
        for batch, rate in self.rates:
            best = max(best, rate)
            found.append((batch, best))
        return tuple(found)

    def rate(self, batch: int) -> float:
        """Images a second of extraction batches up to ``batch``: straight between sizes seen, 0 where none was seen."""
        if not self.smoothed:
            return 0.0
        place = bisect_right(self.smoothed, (batch, math.inf))
        if place == len(self.smoothed):
            return self.smoothed[-1][1]
        right, above = self.smoothed[place]
        left, below = self.smoothed[place - 1] if place else (0, 0.0)
        return below + (above - below) * (batch - left) / (right - left)

    def knee(self) -> int | None:
        """The smallest size seen that is within 2 % of the best; None where nothing was seen."""
        if not self.smoothed:
            return None
        enough = _NEAR_BEST * self.smoothed[-1][1]
        return next(batch for batch, rate in self.smoothed if rate >= enough)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``from_json``."""
        return {"rates": [list(pair) for pair in self.rates]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ThroughputCurve:
        """The curve that ``to_json`` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            rates = tuple((batch, float(rate)) for batch, rate in value["rates"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no throughput curve: {error!r}") from None
        batches = [batch for batch, _ in rates]
        whole = all(type(batch) is int and 1 <= batch <= 1 << 30 for batch in batches)
        if not whole or batches != sorted(set(batches)) or len(rates) > _SIZES:
            raise ValueError("no throughput curve: sizes are not in order")
        if not all(0 <= rate < math.inf for _, rate in rates):
            raise ValueError("no throughput curve: a rate is no number")
        return cls(rates=rates)
