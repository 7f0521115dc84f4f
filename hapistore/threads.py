"""The one way hapistore works ahead on threads: in order, and never more than a bounded number ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def map_ahead(
    function: Callable[[_In], _Out], items: Iterable[_In], *, threads: int, ahead: int, name: str
) -> Iterator[_Out]:
    """``function`` of each item, in order, computed on threads while the caller works.

    ``items`` is advanced in the caller's thread, at most ``ahead`` beyond what it was given. An
    exception is raised where its result would have come; closing the iterator cancels what waits,
    and does not wait for what runs.

    Args:
        name: prefix of the threads' names.
    """
    pending: deque[Future[_Out]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Not waiting: a forgotten iterator is closed by the garbage collector, in whatever thread that runs,
        # even one that is just being started and holds the locks that ending a thread needs.
        pool.shutdown(wait=False, cancel_futures=True)
