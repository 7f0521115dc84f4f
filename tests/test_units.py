"""Rates as people write them."""

from __future__ import annotations

import pytest

from hapistore.units import parse_rate


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [
        ("1Gbit/s", 125e6), ("200 Mbit/s", 25e6), ("50mbps", 6.25e6), ("908.6Mb/s", 113.575e6), ("8bit/s", 1),
        ("25MB/s", 25e6), ("16MiB/s", 16 << 20), ("1.5GBps", 1.5e9), ("12gbits/s", 1.5e9), ("9B/s", 9),
    ],
)  # fmt: skip
def test_rates(text, bytes_per_s):
    assert parse_rate(text) == pytest.approx(bytes_per_s)
