"""What an executor's process and its parent tell each other: messages of one small size, over a socket pair."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum
from typing import NamedTuple

_TEXT_BYTES = 600
_LAYOUT = struct.Struct(f"<BQQQQ{_TEXT_BYTES}s")


class Kind(IntEnum):
    """``START`` and ``RUN`` go to the child, which answers each with one of the others."""

    START = 1
    RUN = 2
    DONE = 3
    OUT_OF_MEMORY = 4
    FAILED = 5
    REFUSED = 6
    """Of ``START``: there can be no such executor."""


class Message(NamedTuple):
    """Attributes:
    rows: of the batch in shared memory. peak_bytes, idle_bytes, free_bytes: of the executor, in answers.
    text: what went wrong; of the answer to ``START``, the executor's device.
    """

    kind: Kind
    rows: int = 0
    peak_bytes: int = 0
    idle_bytes: int = 0
    free_bytes: int = 0
    text: str = ""


def send(channel: socket.socket, message: Message) -> None:
    """Raises OSError where the other side has gone."""
    text = message.text.encode()[:_TEXT_BYTES]
    channel.sendall(_LAYOUT.pack(*message[:-1], text))


def receive(channel: socket.socket) -> Message | None:
    """The next message; None where the other side has gone.

    Raises:
        TimeoutError: there was none within the channel's timeout.
    """
    data = b""
    while len(data) < _LAYOUT.size:
        try:
            part = channel.recv(_LAYOUT.size - len(data))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    *fields, text = _LAYOUT.unpack(data)
    kind, rows, peak, idle, free = fields
    return Message(Kind(kind), rows, peak, idle, free, text.rstrip(b"\0").decode(errors="replace"))
