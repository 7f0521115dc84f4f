"""Where an extraction's time goes: spans of its stages, for a summary and for a trace viewer."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..appearing import appearing

STAGES = ("fetch", "decode", "forward", "encode", "store")
_MOST_EVENTS = 1_000_000  # about 200 MB of JSON


class Trace:
    """Takes spans from any thread.

    Args:
        keep: whether single spans are kept, for ``write``; totals always are.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._began = time.perf_counter()
        self._lock = threading.Lock()
        self._events: list[tuple[str, str, float, float, dict[str, Any]]] = []
        self._totals: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def span(self, stage: str, **about: Any) -> Iterator[None]:
        """One piece of work of a stage, on this thread."""
        began = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            with self._lock:
                self._totals[stage] += ended - began
                if self._keep and len(self._events) < _MOST_EVENTS:
                    self._events.append((stage, threading.current_thread().name, began, ended, about))

    def seconds(self) -> dict[str, float]:
        """Seconds by stage, of all threads together."""
        with self._lock:
            return {stage: self._totals[stage] for stage in STAGES if stage in self._totals}

    def write(self, path: Path) -> None:
        """Write a file for chrome://tracing or Perfetto (Trace Event Format, complete events)."""
        with self._lock:
            events = list(self._events)
        threads = {name: number for number, name in enumerate(dict.fromkeys(thread for _, thread, *_ in events), 1)}
        process = os.getpid()
        named = [
            {"ph": "M", "name": "thread_name", "pid": process, "tid": number, "args": {"name": name}}
            for name, number in threads.items()
        ]
        spans = [
            {
                "ph": "X",
                "name": stage,
                "cat": stage,
                "pid": process,
                "tid": threads[thread],
                "ts": (began - self._began) * 1e6,
                "dur": (ended - began) * 1e6,
                "args": about,
            }
            for stage, thread, began, ended, about in events
        ]
        with appearing(path, replace=True) as temporary:
            temporary.write_text(json.dumps({"traceEvents": [*named, *spans], "displayTimeUnit": "ms"}))
