"""Trying again what a store could not do for the moment: exponential waits with full jitter, within a time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import StoreError, TransientError, UsageError
from .throttle import OF_THIS_PROCESS, Throttle

_Out = TypeVar("_Out")
_DOUBTED = 3  # an error that looks final is believed when it comes so often in a row


@dataclass(frozen=True, kw_only=True)
class RetryOptions:
    """When to give up.

    Attributes:
        attempts: at most so many, the first included.
        first_wait_s, longest_wait_s: upper end of the random wait before the second attempt, doubled before each
            further one, up to the longest.
        give_up_after_s: no attempt begins later than this after the first.
    """

    attempts: int = 10
    first_wait_s: float = 0.1
    longest_wait_s: float = 15.0
    give_up_after_s: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.first_wait_s, self.longest_wait_s, self.give_up_after_s) < 0:
            raise UsageError("there is at least one attempt, and no wait is negative")


class Retrier:
    """Runs requests until one succeeds or it is time to give up.

    Args:
        clock, sleep: seconds; pick: a random number from 0 to 1. For tests.
    """

    def __init__(
        self,
        options: RetryOptions,
        *,
        throttle: Throttle = OF_THIS_PROCESS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        pick: Callable[[], float] = random.random,
    ) -> None:
        self.options = options
        self._throttle, self._clock, self._sleep, self._pick = throttle, clock, sleep, pick

    def run(self, operation: str, name: str, request: Callable[[int], _Out]) -> _Out:
        """``request(attempt)``, attempts counted from 1, until it does not raise TransientError.

        Raises:
            StoreError: it is time to give up; names object, operation, attempts, cause and what to check.
        """
        began = self._clock()
        attempt, doubtful = 1, 0
        while True:
            self._throttle.wait()
            try:
                result = request(attempt)
            except TransientError as error:
                wait = self._wait_s(attempt, error)
                elapsed = self._clock() - began
                doubtful = doubtful + 1 if error.doubtful else 0
                is_last = attempt == self.options.attempts or doubtful == _DOUBTED
                if is_last or elapsed + wait > self.options.give_up_after_s:
                    times = "once" if attempt == 1 else f"{attempt} times"
                    raise StoreError(
                        f"{name}: {operation} failed {times} in {elapsed:.1f} s: {error.cause}; {error.advice}"
                    ) from error
                self._sleep(wait)
                attempt += 1
            else:
                self._throttle.speed_up()
                return result

    def _wait_s(self, attempt: int, error: TransientError) -> float:
        longest = min(self.options.longest_wait_s, self.options.first_wait_s * 2.0 ** (attempt - 1))
        wait = self._pick() * longest
        if error.throttled:
            wait = max(wait, error.retry_after_s or 0.0)
            self._throttle.slow_down(wait)
        return wait
