"""Rates as people write them, and times and sizes as they read them."""

from __future__ import annotations

import pytest

from hapistore.units import format_bytes, format_seconds, parse_rate


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [
        ("1Gbit/s", 125e6), ("200 Mbit/s", 25e6), ("50mbps", 6.25e6), ("908.6Mb/s", 113.575e6), ("8bit/s", 1),
        ("25MB/s", 25e6), ("16MiB/s", 16 << 20), ("1.5GBps", 1.5e9), ("12gbits/s", 1.5e9), ("9B/s", 9),
    ],
)  # fmt: skip
def test_rates(text, bytes_per_s):
    assert parse_rate(text) == pytest.approx(bytes_per_s)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"), (4e-8, "0.04 µs"), (0.000_04, "40 µs"), (0.0005, "500 µs"), (0.001, "1 ms"), (0.0054, "5.4 ms"),
        (0.00949, "9.5 ms"), (0.0099, "10 ms"), (0.085, "85 ms"), (3.21, "3.2 s"), (99.9, "99.9 s"),
        (250, "4 min 10 s"), (299.7, "5 min 0 s"), (3600, "1 h 0 min"), (7199, "2 h 0 min"), (24_000, "6 h 40 min"),
    ],
)  # fmt: skip
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (35_226, "34.4 KiB"), (1_037_932, "1014 KiB"),
        (1 << 20, "1 MiB"), (1023.9 * 2**40, "1024 TiB"),
    ],
)  # fmt: skip
def test_sizes(count, text):
    assert format_bytes(count) == text
