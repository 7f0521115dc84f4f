"""What is right and wrong with a store, seen from this machine: access, promises, clock, latency, speed."""

from __future__ import annotations

import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from ..errors import StoreError
from .protocol import ObjectStore

_FOLDER = "hapistore-doctor"
_SMALL_BYTES, _LARGE_BYTES, _REQUESTS = 1024, 32 << 20, 10
# S3 refuses requests that are signed a quarter of an hour off; a minute says that nobody keeps this clock.
_CLOCK_OFF_S = 60.0
_SLOW_REQUEST_S, _SLOW_BYTES_S = 0.5, 10e6


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: ``access``, ``capabilities``, ``clock``, ``latency`` or ``speed``.
        ok: whether it is as it should be; found: what it is; advice: what to do where it is not.
        figures: what was measured, by name with its unit.
    """

    check: str
    ok: bool
    found: str
    advice: str = ""
    figures: dict[str, float]


def examine(store: ObjectStore, *, server_date: Callable[[], str | None] | None = None) -> Iterator[Finding]:
    """Look at a store by small objects of its own, which are deleted again. Stops where there is no access.

    Args:
        server_date: the server's header ``Date``, where there is a server.
    """
    name = f"{_FOLDER}/{uuid.uuid4().hex}"
    access = _access(store, name)
    yield access
    if not access.ok:
        return
    try:
        yield _capabilities(store)
        if server_date is not None:
            yield _clock(server_date())
        yield _latency(store, name)
        yield _speed(store, f"{name}-large")
    finally:
        store.delete(name)


def _access(store: ObjectStore, name: str) -> Finding:
    data = os.urandom(_SMALL_BYTES)
    try:
        store.create(name, data)
        came = bytes(store.get(name))
        listed = [info.name for info in store.list(f"{_FOLDER}/")]
    except StoreError as error:
        return Finding(check="access", ok=False, found=str(error), advice="see above", figures={})
    if came != data or name not in listed:
        wrong = "other bytes come back than were written" if came != data else "what was written is not listed"
        return Finding(check="access", ok=False, found=wrong, advice="use another store", figures={})
    return Finding(check="access", ok=True, found="objects can be created, read and listed", figures={})


def _capabilities(store: ObjectStore) -> Finding:
    found = store.capabilities
    lacking = []
    if not found.atomic_create:
        lacking.append("it lets several writers create one object")
    if not found.consistent_list:
        lacking.append("its listings may lag")
    return Finding(
        check="capabilities",
        ok=not lacking,
        found="; ".join(lacking) or "objects are created once, and listed at once",
        advice="commit with --single-writer, from one process at a time; gc does not work here" if lacking else "",
        figures={},
    )


def _clock(date: str | None) -> Finding:
    try:
        server = parsedate_to_datetime(date or "")
        off = (datetime.now(timezone.utc) - server).total_seconds()
    except (ValueError, TypeError):
        return Finding(check="clock", ok=True, found="the server does not say what time it is", figures={})
    ok = abs(off) <= _CLOCK_OFF_S
    found = f"this machine's is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the server's"
    return Finding(
        check="clock",
        ok=ok,
        found=found,
        advice="" if ok else "set it by NTP: signatures expire",
        figures={"off_s": off},
    )


def _latency(store: ObjectStore, name: str) -> Finding:
    seconds = [_seconds(lambda: store.get(name)) for _ in range(_REQUESTS)]
    median = statistics.median(seconds)
    return Finding(
        check="latency",
        ok=median < _SLOW_REQUEST_S,
        found=f"{median * 1e3:.1f} ms for a small object (median of {_REQUESTS}, up to {max(seconds) * 1e3:.1f})",
        advice="" if median < _SLOW_REQUEST_S else "check the link, and whether the region is the nearest one",
        figures={"median_s": median, "highest_s": max(seconds)},
    )


def _speed(store: ObjectStore, name: str) -> Finding:
    data = os.urandom(_LARGE_BYTES)
    try:
        up = len(data) / _seconds(lambda: store.put(name, data))
        down = len(data) / _seconds(lambda: store.get(name)[-1:])
    finally:
        store.delete(name)
    ok = min(up, down) > _SLOW_BYTES_S
    return Finding(
        check="speed",
        ok=ok,
        found=f"{up / 1e6:.0f} MB/s up, {down / 1e6:.0f} MB/s down for {_LARGE_BYTES >> 20} MiB",
        advice="" if ok else "features are small, but images are not: ingest and extract near the store",
        figures={"up_bytes_s": up, "down_bytes_s": down},
    )


def _seconds(request: Callable[[], object]) -> float:
    began = time.perf_counter()
    request()
    return time.perf_counter() - began
