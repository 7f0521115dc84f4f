"""Near ranges become one request, and cover what was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hapistore.stores.ranges import merge_ranges


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [
        ([], []),
        ([(5, 9)], [(5, 9)]),
        ([(0, 5), (7, 9)], [(0, 9)]),
        ([(7, 9), (0, 5)], [(0, 9)]),
        ([(0, 5), (8, 9)], [(0, 5), (8, 9)]),
        ([(0, 50), (3, 4), (60, 61)], [(0, 50), (60, 61)]),
    ],
)
def test_merging(ranges, merged):
    assert merge_ranges(ranges, near_bytes=2) == merged


RANGES = st.tuples(st.integers(0, 500), st.integers(1, 50)).map(lambda drawn: (drawn[0], sum(drawn)))


@given(st.lists(RANGES), st.integers(0, 20))
def test_any_ranges_are_covered_and_what_is_merged_lies_apart(ranges, near):
    merged = merge_ranges(ranges, near_bytes=near)
    assert all(any(a <= start and stop <= b for a, b in merged) for start, stop in ranges)
    assert all(later[0] - earlier[1] > near for earlier, later in zip(merged, merged[1:], strict=False))
    assert {start for start, _ in merged} <= {start for start, _ in ranges}
    assert {stop for _, stop in merged} <= {stop for _, stop in ranges}
