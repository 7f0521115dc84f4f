"""Having something done on another thread, and saying now and then that it is being done."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

from .wire import BEAT_S

_Out = TypeVar("_Out")
_Beat = TypeVar("_Beat")


def beating(
    pool: ThreadPoolExecutor, work: Callable[[], _Out], beat: Callable[[], _Beat]
) -> Generator[_Beat, None, _Out]:
    """Yields ``beat()`` twice a second until ``work`` is done; returns what it returned, and raises what it raised."""
    future: Future[_Out] = pool.submit(work)
    try:
        while True:
            try:
                return future.result(BEAT_S)
            except NotYet:
                if future.done():
                    raise  # its own
            yield beat()
    except GeneratorExit:
        # What it takes hold of is given back by who closes this, so it has to have an end by then.
        if not future.cancel():
            future.exception()
        raise
