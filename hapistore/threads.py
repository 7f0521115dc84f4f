"""The one way hapistore works ahead on threads: in order, and never more than a bounded number ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def map_ahead(
    function: Callable[[_In], _Out],
    items: Iterable[_In],
    *,
    threads: int,
    ahead: int,
    name: str,
    on_stall: tuple[float, Callable[[float], None]] | None = None,
) -> Iterator[_Out]:
    """``function`` of each item, in order, computed on threads while the caller works.

    ``items`` is advanced in the caller's thread, at most ``ahead`` beyond what it was given. An
    exception is raised where its result would have come; closing the iterator cancels what waits,
    and does not wait for what runs.

    Args:
        name: prefix of the threads' names.
        on_stall: is called with the seconds waited for one result so far, each time that so many more have passed.
    """
    pending: deque[Future[_Out]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield _result(pending.popleft(), on_stall)
        while pending:
            yield _result(pending.popleft(), on_stall)
    finally:
        # Not waiting: a forgotten iterator is closed by the garbage collector, in whatever thread that runs,
        # even one that is just being started and holds the locks that ending a thread needs.
        pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[_Out], on_stall: tuple[float, Callable[[float], None]] | None) -> _Out:
    if on_stall is None or future.done():
        return future.result()
    every_s, say = on_stall
    waited = 0.0
    while not future.done():
        _, running = wait([future], timeout=every_s)
        if running:
            waited += every_s
            say(waited)
    return future.result()
