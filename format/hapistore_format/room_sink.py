"""A file that Arrow writes into memory given beforehand, and that takes a column's values from where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa


class RoomSink:
    """As much of ``io.BytesIO`` as ``pa.PythonFile`` and `SealedWriter` use, in memory that never moves.

    Arrow wants the values of a binary column behind one another in one buffer; gathering them there first would cost
    a copy of every image. So the column is given a stand-in of that size, which nobody reads: when Arrow comes to
    write it, the values are written instead.

    Args:
        room: uint8: memory for the file.
    """

    closed = False

    def __init__(self, room: np.ndarray) -> None:
        self._room, self._at = room, 0
        self._stand_in = 0  # address of the buffer that is to be replaced; 0 where none is
        self._values: Iterable[bytes | memoryview] = ()

    @contextmanager
    def replacing(self, stand_in: pa.Buffer, values: Iterable[bytes | memoryview]) -> Iterator[None]:
        """Where a batch is written in which this buffer is: write these values for it, which have its size together."""
        self._stand_in, self._values = stand_in.address if stand_in.size else 0, values
        yield
        if self._stand_in:
            raise AssertionError("Arrow wrote a copy of a buffer that stands for values")

    def write(self, data: bytes | pa.Buffer) -> int:
        """Take bytes.

        Raises:
            ValueError: the room is full, or what replaces a buffer has another size.
        """
        view = memoryview(data).cast("B")
        end = self._at + len(view)
        if end > len(self._room):
            raise ValueError(f"a file of {end} bytes or more does not fit a room of {len(self._room)}")
        if isinstance(data, pa.Buffer) and len(view) and data.address == self._stand_in:
            self._stand_in = 0
            at = self._at
            for value in self._values:
                self._room[at : at + len(value)] = np.frombuffer(value, np.uint8)
                at += len(value)
            if at != end:
                raise ValueError(f"values of {at - self._at} bytes stand for {len(view)}")
        else:
            self._room[self._at : end] = np.frombuffer(view, np.uint8)
        self._at = end
        return len(view)

    def getbuffer(self) -> memoryview:
        """What was written."""
        return memoryview(self._room)[: self._at]  # type: ignore[arg-type]

    def tell(self) -> int:
        """How many bytes were written."""
        return self._at

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing to do: the room is the caller's."""
