"""Which cuts are measured."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hapistore.planning import worth_measuring

networks = st.lists(st.tuples(st.integers(1, 8), st.floats(0, 1)), min_size=1, max_size=60)


def test_the_last_of_each_size_and_the_first_where_it_spares_time():
    sizes = [800, 800, 800, 200, 200, 200, 50, 50, 100, 2, 2]
    assert worth_measuring(sizes, [1, 10, 11, 20, 30, 40, 50, 50.5, 60, 70, 71]) == [0, 2, 3, 4, 5, 7, 10]


def test_a_long_row_of_one_size_is_measured_here_and_there():
    found = worth_measuring([600] * 40, list(range(1, 41)))
    assert found[0] == 0 and found[-1] == 39
    assert {later - earlier for earlier, later in zip(found, found[1:], strict=False)} <= {4, 5}


def test_a_class_token_makes_no_other_size():
    found = worth_measuring([196.0] * 3 + [197.0] * 24 + [1.0], list(range(1, 29)))
    assert found == [0, 3, 6, 9, 12, 15, 18, 21, 24, 26, 27]


def test_what_grows_again_is_left_out_but_for_the_last():
    assert worth_measuring([10, 60, 60, 9, 50], [1, 2, 3, 4, 5]) == [0, 3, 4]
    assert worth_measuring([7], [0.0]) == [0]


@given(networks)
def test_no_cut_that_is_left_out_sends_less_than_all_that_are_taken_before_it(network):
    sizes = [size for size, _ in network]
    seconds = [sum(more for _, more in network[: place + 1]) for place in range(len(network))]
    found = worth_measuring(sizes, seconds)
    assert found == sorted(set(found)) and found[-1] == len(sizes) - 1
    for place, size in enumerate(sizes):
        taken_to_there = [sizes[one] for one in found if one <= place]
        same_or_smaller_later = [sizes[one] for one in found if one >= place and sizes[one] <= size]
        assert place in found or min(taken_to_there, default=1 << 30) <= size or same_or_smaller_later, place
