"""Bytes, seconds and rates, read from and written for people."""

from __future__ import annotations

import re

_BYTE_UNITS = {
    "": 1, "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def parse_bytes(text: str) -> int:
    """``64MiB``, ``1.5 GB`` or ``4096`` in bytes.

    Raises:
        ValueError: the text is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in _BYTE_UNITS:
        raise ValueError(f"{text!r} is no size; write it like 64MiB, 1.5GB or 4096")
    return int(float(match[1]) * _BYTE_UNITS[match[2].lower()])


_SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_seconds(text: str) -> float:
    """``7d``, ``2 h``, ``90min`` or ``45`` in seconds.

    Raises:
        ValueError: the text is no time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    if match is None or match[2] not in _SECONDS:
        raise ValueError(f"{text!r} is no length of time; write it like 7d, 36h, 90min or 45s")
    return float(match[1]) * _SECONDS[match[2]]


_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]i?)?(bits?|b|B)(?:/s|ps)\s*")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_rate(text: str) -> float:
    """``1Gbit/s``, ``200 Mbps`` or ``25MB/s`` in bytes per second. A small b is a bit, a capital one a byte.

    Raises:
        ValueError: the text is no rate, or a rate of nothing.
    """
    match = _RATE.fullmatch(text)
    if match is None or not float(match[1]):
        raise ValueError(f"{text!r} is no rate; write it like 1Gbit/s, 200Mbit/s or 25MB/s")
    prefix = (match[2] or "").lower()
    base = 1024 if prefix.endswith("i") else 1000
    bytes_each = 1 if match[3] == "B" else 1 / 8
    return float(match[1]) * bytes_each * base ** _POWERS[prefix.removesuffix("i")]


def format_bytes(count: float) -> str:
    """Bytes with a binary unit and three digits: ``34.4 KiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{_three(count)} {unit}"
        count /= 1024
    return f"{_three(count)} TiB"


def _three(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def format_rate(bytes_per_s: float) -> str:
    """A link's rate with three digits: ``1.25 Gbit/s``."""
    bits = bytes_per_s * 8
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if bits < 1000:
            return f"{bits:.3g} {unit}"
        bits /= 1000
    return f"{bits:.3g} Gbit/s"


def format_seconds(seconds: float) -> str:
    """Seconds for people: ``40 µs``, ``8.5 ms``, ``85 ms``, ``3.2 s``, ``4 min 10 s``, ``6 h 40 min``."""
    if 0 < seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs" if seconds >= 1e-6 else f"{seconds * 1e6:.2g} µs"
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms" if 0 < seconds < 0.0095 else f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return "{} min {} s".format(*divmod(round(seconds), 60))
    return "{} h {} min".format(*divmod(round(seconds / 60), 60))
