"""The ideal that benchmarks hold the service's tenants to."""

from __future__ import annotations

import pytest

from benchmarks.fair_share import fair_ends


@pytest.mark.parametrize(
    ("works", "ends"),
    [
        ([2.0], [2.0]),
        ([2.0, 2.0], [4.0, 4.0]),
        ([3.0, 1.0, 2.0], [6.0, 3.0, 5.0]),  # one ends at 3 × 1; then two share until 2 × 1 later; then one is alone
    ],
)
def test_all_that_have_not_ended_share_evenly(works, ends):
    assert fair_ends(works) == ends


def test_the_last_ends_when_all_work_is_done():
    works = [0.5, 4.0, 1.25, 4.0, 2.0]
    assert max(fair_ends(works)) == pytest.approx(sum(works))
