"""Trying again: how often, how long, and what is said in the end."""

from __future__ import annotations

import pickle

import pytest

from hapistore.errors import StoreError, TransientError, UsageError
from hapistore.stores.retrying import Retrier, RetryOptions
from hapistore.stores.throttle import Throttle


class Requests:
    """Fails with these errors in turn, then succeeds; time passes only where somebody sleeps."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.attempts, self.slept, self.now = list(errors), [], [], 0.0

    def __call__(self, attempt: int) -> str:
        self.attempts.append(attempt)
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def run(self, pick: float = 1.0, **options: float) -> str:
        throttle = Throttle(clock=lambda: self.now, sleep=self.sleep)
        retrier = Retrier(
            RetryOptions(**options), throttle=throttle, clock=lambda: self.now, sleep=self.sleep, pick=lambda: pick
        )
        return retrier.run("reading", "images/x", self)


def passing(**more) -> TransientError:
    return TransientError("the connection broke off", "check the link", **more)


def test_what_succeeds_is_asked_once():
    requests = Requests()
    assert requests.run() == "done"
    assert (requests.attempts, requests.slept) == ([1], [])


def test_waits_double_up_to_the_longest():
    requests = Requests(*[passing() for _ in range(6)])
    assert requests.run(first_wait_s=1, longest_wait_s=8) == "done"
    assert requests.slept == [1, 2, 4, 8, 8, 8]
    assert requests.attempts == [1, 2, 3, 4, 5, 6, 7]


def test_waits_are_random_from_nothing_on():
    requests = Requests(passing(), passing())
    assert requests.run(pick=0.25, first_wait_s=1) == "done"
    assert requests.slept == [0.25, 0.5]


def test_it_gives_up_after_so_many_attempts_and_says_what_to_check():
    requests = Requests(*[passing() for _ in range(99)])
    with pytest.raises(StoreError) as caught:
        requests.run(attempts=3, first_wait_s=1)
    assert str(caught.value) == "images/x: reading failed 3 times in 3.0 s: the connection broke off; check the link"
    assert requests.attempts == [1, 2, 3]


def test_it_gives_up_in_time():
    requests = Requests(*[passing() for _ in range(99)])
    with pytest.raises(StoreError, match=r"in 15.0 s"):
        requests.run(attempts=99, first_wait_s=1, longest_wait_s=60, give_up_after_s=30)
    assert requests.now <= 30


def test_a_store_that_asks_for_time_gets_it():
    requests = Requests(passing(throttled=True, retry_after_s=7))
    assert requests.run(first_wait_s=1) == "done"
    assert requests.now >= 7


def test_what_looks_final_is_believed_the_third_time_in_a_row():
    requests = Requests(*[passing(doubtful=True) for _ in range(99)])
    with pytest.raises(StoreError, match="failed 3 times"):
        requests.run()
    assert requests.attempts == [1, 2, 3]
    mixed = [passing(doubtful=number % 3 != 2) for number in range(8)]
    assert Requests(*mixed).run() == "done"


def test_a_passing_error_pickles():
    error = pickle.loads(pickle.dumps(passing(doubtful=True, retry_after_s=3)))
    assert (error.doubtful, error.throttled, error.retry_after_s, error.cause) == (
        True,
        False,
        3,
        "the connection broke off",
    )


def test_other_errors_are_not_tried_again():
    requests = Requests(StoreError("no"))
    with pytest.raises(StoreError, match="no"):
        requests.run()
    assert requests.attempts == [1]


def test_options_that_make_no_sense():
    for options in ({"attempts": 0}, {"first_wait_s": -1}, {"give_up_after_s": -0.1}):
        with pytest.raises(UsageError):
            RetryOptions(**options)
