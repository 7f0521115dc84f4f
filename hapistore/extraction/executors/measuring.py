"""Which executor is the fastest here, found out in a few seconds on real images."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable

import numpy as np

from ...errors import ExecutorFailed, OutOfMemory
from .candidates import Candidate
from .protocol import Executor

BUDGET_S = 10.0
# Of what the extraction would take with the fastest so far: a long one may look for longer.
_BUDGET_SHARE = 0.02
_LARGEST_BATCH = 16
_RUN_S = 0.5  # a run of eager shall not take longer
_ROUNDS, _LONGEST_ROUNDS = 3, 9
_ROUNDS_S = 1.0
# So much faster is decided by one pair of runs.
_CLEAR = 1.5


def is_worth_preparing(prepare_s: float, *, spent_s: float, images: int, best_rate: float) -> bool:
    """Whether a candidate could still win, its preparation counted, and the budget allows to find out.

    Args:
        best_rate: images per second of the fastest so far; 0 where there is none, then anything is worth it.
    """
    if best_rate <= 0:
        return True
    left_s = images / best_rate
    return prepare_s < left_s and spent_s + prepare_s <= max(BUDGET_S, _BUDGET_SHARE * left_s)


def measuring_batch(sample: np.ndarray, eager_rate: float) -> np.ndarray:
    """Real pixels for measured runs: at most 16, fewer for slow networks, repeated where the sample is smaller."""
    count = max(4, min(_LARGEST_BATCH, int(eager_rate * _RUN_S)))
    return np.ascontiguousarray(np.resize(sample, (count, *sample.shape[1:])))


def duel(champion: Executor, challenger: Executor, pixels: np.ndarray) -> tuple[float, float]:
    """Images per second of two executors, run in turn, medians."""
    for executor in (champion, challenger):
        executor.run(pixels)  # the first run of a size pays for memory
    taken: tuple[list[float], list[float]] = ([], [])
    while not _is_decided(*taken):
        for executor, seconds in zip((champion, challenger), taken, strict=True):
            started = time.perf_counter()
            executor.run(pixels)
            seconds.append(time.perf_counter() - started)
    one, other = (len(pixels) / statistics.median(seconds) for seconds in taken)
    return one, other


def _is_decided(one: list[float], other: list[float]) -> bool:
    if not one:
        return False
    ratio = statistics.median(one) / statistics.median(other)
    if not 1 / _CLEAR < ratio < _CLEAR:
        return True
    return len(one) >= _LONGEST_ROUNDS or (len(one) >= _ROUNDS and sum(one) + sum(other) >= _ROUNDS_S)


class Tournament:
    """Candidates against the fastest so far; at most two networks are held at once.

    Attributes:
        champion: the fastest so far; rates: images per second by candidate; passed_over: why others were not run.
    """

    def __init__(self, pixels: np.ndarray, images: int, open_checked: Callable[[Candidate], Executor | str]) -> None:
        """
        Args:
            images: how many there are to extract.
            open_checked: makes a candidate's executor, or says why it is out.
        """
        self._pixels, self._images, self._open = pixels, images, open_checked
        self._started = time.perf_counter()
        self.champion: tuple[Candidate, Executor] | None = None
        self.rates: dict[str, float] = {}
        self.passed_over: dict[str, str] = {}

    def run(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            self._try(candidate)
        if self.champion and not self.rates:  # it had nobody to run against
            self.rates[self.champion[0].label] = duel(self.champion[1], self.champion[1], self._pixels)[0]

    def _try(self, candidate: Candidate) -> None:
        best = self.rates.get(self.champion[0].label, 0.0) if self.champion else 0.0
        spent = time.perf_counter() - self._started
        if not is_worth_preparing(candidate.prepare_s, spent_s=spent, images=self._images, best_rate=best):
            self.passed_over[candidate.label] = f"making it takes some {candidate.prepare_s:.0f} s"
            return
        executor = self._open(candidate)
        if isinstance(executor, str):
            self.passed_over[candidate.label] = executor
        elif self.champion is None:
            self.champion = candidate, executor
        else:
            self._fight(self.champion, candidate, executor)

    def _fight(self, champion: tuple[Candidate, Executor], candidate: Candidate, executor: Executor) -> None:
        try:
            held, challenging = duel(champion[1], executor, self._pixels)
        except (OutOfMemory, ExecutorFailed) as error:
            executor.close()
            self.passed_over[candidate.label] = f"it failed: {error}"
            return
        self.rates[champion[0].label], self.rates[candidate.label] = held, challenging
        if challenging > held:
            champion[1].close()
            self.champion = candidate, executor
        else:
            executor.close()
