"""A process that asks a service in place of one that was forked, such as a loader worker: gRPC does not outlive a fork.

It is ``python -m hapistore.service.relay``, started by `Relay`, and ends when whoever started it does. Both talk over
its standard streams: a head with two lengths, JSON, and bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HapistoreError, StoreError
from ..stores.retrying import RetryOptions
from .wire import Ticket, parse_ticket
from .wire_errors import describe, read_error

if TYPE_CHECKING:
    from .connection import Connection

_HEAD = struct.Struct("<QQ")


class Relay:
    """To one service. Thread-safe; one request at a time.

    Args:
        url, options: of a `Connection`.

    Attributes:
        process: whose it is.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.process = os.getpid()
        self._lock = threading.Lock()
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        roots, retries = options["tls_root"], options["retries"]
        told = {
            "token": options["token"],
            "tls_root": None if roots is None else os.fspath(roots),
            "retries": None if retries is None else vars(retries),
        }
        with self._lock:
            self._write({"url": url, "options": told})

    def read(self, ticket: Ticket, name: str) -> memoryview:
        """As `Connection.read`."""
        return self._ask({"ticket": ticket.serialise().decode(), "name": name})[1]

    def act(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """As `Connection.act`."""
        answer: dict[str, Any] = self._ask({"action": action, "body": dict(body)})[0]["answer"]
        return answer

    def close(self) -> None:
        """End it."""
        for stream in (self._child.stdin, self._child.stdout):
            assert stream is not None
            stream.close()
        self._child.wait()

    def _ask(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], memoryview]:
        with self._lock:
            try:
                self._write(request)
                assert self._child.stdout is not None
                answer, data = _receive(self._child.stdout)
            except (OSError, EOFError) as error:
                raise StoreError(f"the process that asks the service has ended: {error!s:.200}") from error
        if "error" in answer:
            raise read_error(json.dumps(answer["error"]).encode()) or HapistoreError("the service failed")
        return answer, data

    def _write(self, value: Mapping[str, Any]) -> None:
        assert self._child.stdin is not None
        _send(self._child.stdin, value)


def _send(stream: Any, value: Mapping[str, Any], data: memoryview | bytes = b"") -> None:
    text = json.dumps(value).encode()
    stream.write(_HEAD.pack(len(text), len(data)) + text)
    stream.write(data)
    stream.flush()


def _receive(stream: Any) -> tuple[dict[str, Any], memoryview]:
    """Raises EOFError where the other side has ended."""
    text, size = _HEAD.unpack(_exactly(stream, _HEAD.size))
    value: dict[str, Any] = json.loads(bytes(_exactly(stream, text)))
    return value, _exactly(stream, size)


def _exactly(stream: Any, count: int) -> memoryview:
    room: np.ndarray = np.empty(count, np.uint8)
    view, came = memoryview(room.data), 0
    while came < count:
        got = stream.readinto(view[came:])
        if not got:
            raise EOFError("it said no more")
        came += got
    return view.toreadonly()


def _main() -> None:
    """Answer until the one who asks has ended."""
    from .connection import Connection

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    first, _ = _receive(sys.stdin.buffer)
    options = first["options"]
    if options["retries"] is not None:
        options["retries"] = RetryOptions(**options["retries"])
    connection = Connection(first["url"], **options)
    with contextlib.suppress(EOFError, BrokenPipeError):  # it has ended
        while True:
            request, _ = _receive(sys.stdin.buffer)
            _send(answers, *_answer(connection, request))


def _answer(connection: Connection, request: Mapping[str, Any]) -> tuple[dict[str, Any], memoryview | bytes]:
    try:
        if "ticket" in request:
            return {}, connection.read(parse_ticket(request["ticket"].encode()), request["name"])
        return {"answer": connection.act(request["action"], request["body"])}, b""
    except HapistoreError as error:
        return {"error": describe(error)}, b""


if __name__ == "__main__":
    _main()
