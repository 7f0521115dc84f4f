"""Working ahead on threads."""

from __future__ import annotations

import gc
import threading
from itertools import count

import pytest

from hapistore.threads import map_ahead


def test_results_come_in_order_and_items_are_taken_a_bounded_number_ahead():
    taken = []

    def items():
        for n in range(20):
            taken.append(n)
            yield n

    results = map_ahead(lambda n: n * n, items(), threads=3, ahead=4, name="test")
    assert next(results) == 0
    assert len(taken) == 5
    assert list(results) == [n * n for n in range(1, 20)]


def test_an_exception_is_raised_where_its_result_would_have_come():
    results = map_ahead(lambda n: 1 // (3 - n), count(), threads=2, ahead=8, name="test")
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_it_can_be_left_at_any_moment_without_waiting_for_what_runs(how):
    """The garbage collector may be the one that closes it, in a thread that must not wait for another one."""
    begun, finish = threading.Event(), threading.Event()

    def work(n: int) -> int:
        if n:
            begun.set()
            assert finish.wait(60)
        return n

    results = map_ahead(work, count(), threads=1, ahead=2, name="left")
    assert next(results) == 0
    assert begun.wait(60)
    if how == "closed":
        results.close()
    else:
        cycle = [results]
        cycle.append(cycle)
        del cycle, results
        gc.collect()
    assert not finish.is_set()  # and yet here we are
    finish.set()
    for thread in threading.enumerate():
        if thread.name.startswith("left"):
            thread.join(60)
            assert not thread.is_alive()
