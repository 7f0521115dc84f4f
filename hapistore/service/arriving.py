"""An object's bytes on their way: what has come stays, whatever becomes of the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import TransientError
from ..read.buffers import Buffers
from .wire import Ticket

_SMALL_BYTES, _KEPT = 1 << 20, 2


class Message(NamedTuple):
    """Of a stream: bytes, and what stands beside them."""

    data: memoryview
    beside: Mapping[str, Any]


class Rooms:
    """Memory for objects, that of earlier ones which nobody holds any more: to touch new memory takes as long as an
    object takes to come. It is at most twice as large as what is in it."""

    def __init__(self) -> None:
        self._by_size: dict[int, Buffers] = {}

    def room(self, size: int) -> np.ndarray:
        """uint8 [size], not cleared."""
        if size < _SMALL_BYTES:
            return np.empty(size, np.uint8)
        return self._by_size.setdefault(size.bit_length(), Buffers(_KEPT)).array((size,), np.uint8)


class Arriving:
    """Bytes on their way: those that came stay, whatever becomes of the stream."""

    def __init__(self, ticket: Ticket, rooms: Rooms) -> None:
        self._ticket, self._first, self._rooms = ticket, ticket.start, rooms
        self._whole: np.ndarray = np.empty(0, np.uint8)
        self._length: int | None = None
        self._came = 0

    def go_on(self, stream: Callable[[Ticket], Iterator[Message]]) -> memoryview:
        """Ask for the bytes that have not come, and take them in; the whole, read-only.

        Raises:
            TransientError: the stream ended too early, or is not what it was before.
        """
        if self._came != self._length:  # else only the stream's end was lost
            with closing(stream(replace(self._ticket, start=self._first + self._came))) as messages:  # type: ignore[type-var]
                for message in messages:
                    if "bytes" in message.beside:
                        self._begin(int(message.beside["bytes"]), int(message.beside["start"]))
                    if len(message.data):
                        self._take(message.data)
        if self._came != self._length:
            raise TransientError(f"only {self._came:,} bytes came", "check the link to the service")
        return self._whole.data.toreadonly()

    def _begin(self, length: int, start: int) -> None:
        """The service says how many bytes there are from ``start`` on."""
        whole = start - self._first + length
        if start != self._first + self._came or (self._length is not None and whole != self._length):
            self._came, self._length = 0, None  # it was written anew meanwhile
            raise TransientError("the object changed while it was read", "nothing is to be done")
        if self._length is None:
            self._length, self._whole = whole, self._rooms.room(whole)

    def _take(self, data: memoryview) -> None:
        if self._length is None or self._came + len(data) > self._length:
            raise TransientError("more bytes came than were announced", "check the link to the service")
        self._whole[self._came : self._came + len(data)] = np.frombuffer(data, np.uint8)
        self._came += len(data)
