"""The port for those who watch a server: ``/healthz``, ``/readyz`` and ``/metrics`` over HTTP, and nothing else.

It has no files and takes no input but a request's first line, so it speaks as little HTTP as that needs: one request a
connection, read within a bound of bytes and of seconds, on a bounded number of threads.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ...errors import UsageError

DEFAULT_PORT = 9464
_MOST_HEAD_BYTES = 8192
_MOST_S = 5.0  # for a request to come, and again for its answer to be taken
_MOST_THREADS = 16
_PATHS = ("/healthz", "/readyz", "/metrics")
_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,2000}) HTTP/1\.[01]\r?\n")
_REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Health:
    """How a server is.

    Attributes:
        unhealthy: why it does not do its work: ``draining``, ``worker broken: …``, ``store unreachable: …``.
        not_ready: why it should get no requests yet, though nothing is wrong: ``starting``.
    """

    unhealthy: tuple[str, ...] = ()
    not_ready: tuple[str, ...] = ()


class SidePort:
    """A small HTTP server on threads of its own, from when it is made until it is closed.

    Args:
        address: ``HOST:PORT``, or ``[HOST]:PORT`` of IPv6; port 0 takes any that is free.
        health: called for ``/healthz`` and ``/readyz``. It must not wait for anything: it tells what was last seen.
        metrics: called for ``/metrics``; gives a body and its content type.

    Raises:
        UsageError: that is no address, or it cannot be listened at.
    """

    def __init__(self, address: str, *, health: Callable[[], Health], metrics: Callable[[], tuple[bytes, str]]) -> None:
        host, port = parse_address(address)
        self._answers = _Answers(health, metrics)
        try:
            self._server = _Server((host, port), self._answers)
        except OSError as error:
            raise UsageError(f"--metrics {address}: cannot listen there ({error.strerror or error})") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="side port", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def close(self) -> None:
        """Listen no more. What is being answered is answered within seconds, or not at all if the process ends."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> SidePort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:9464``, ``[::1]:9464``, or ``:9464`` for the loopback.

    Raises:
        UsageError: the text is no address.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([\w.-]*)):(\d{1,5})", text, re.ASCII)
    if match is None or int(match[3]) > 65535:
        raise UsageError(f"--metrics {text!a}: no address; write it like 127.0.0.1:{DEFAULT_PORT}, or none")
    return match[1] or match[2] or "127.0.0.1", int(match[3])


class _Answers:
    """From a path to a status, a body and its type."""

    def __init__(self, health: Callable[[], Health], metrics: Callable[[], tuple[bytes, str]]) -> None:
        self._health, self._metrics = health, metrics

    def __call__(self, path: str) -> tuple[int, bytes, str]:
        if path == "/metrics":
            return 200, *self._metrics()
        health = self._health()
        reasons = health.unhealthy + (health.not_ready if path == "/readyz" else ())
        if not reasons:
            return _told(200, "ok")
        return _told(503, "unhealthy" if health.unhealthy else "not ready", reasons)


def _told(status: int, word: str, reasons: tuple[str, ...] = ()) -> tuple[int, bytes, str]:
    told = {"status": word, **({"reasons": list(reasons)} if reasons else {})}
    return status, json.dumps(told).encode() + b"\n", "application/json"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], answers: _Answers) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.answers = answers
        self._free = threading.BoundedSemaphore(_MOST_THREADS)
        self._open: dict[socket.socket, None] = {}  # the oldest first
        super().__init__(address, _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """On a thread of its own. Where all of them are taken, the one that has waited the longest for its client goes:
        clients that send nothing must not keep out a question that is asked and answered in a millisecond."""
        if not self._free.acquire(blocking=False):
            self._drop_oldest()
            if not self._free.acquire(timeout=_MOST_S):
                self.shutdown_request(request)
                return
        self._open[request] = None
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._open.pop(request)
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(request)
            self._free.release()

    def _drop_oldest(self) -> None:
        for request in list(self._open)[:1]:
            with contextlib.suppress(OSError):  # it went by itself
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Called in place of what `socketserver` prints."""
        _log.exception("the side port failed at a request")


class _Connection(socketserver.BaseRequestHandler):
    """One request and its answer."""

    request: socket.socket
    server: _Server

    def handle(self) -> None:
        try:
            head = self._head()
            answer, body_too = self._answer(head)
            self.request.settimeout(_MOST_S)
            self.request.sendall(answer if body_too else answer[: answer.index(b"\r\n\r\n") + 4])
        except OSError as error:  # it went away, or takes too long: its own affair
            _log.debug("a client of the side port went away: %s", error)

    def _head(self) -> bytes | int:
        """All up to the empty line; or the status that says why not."""
        until, head = time.monotonic() + _MOST_S, b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            if len(head) > _MOST_HEAD_BYTES:
                return 431
            left_s = until - time.monotonic()
            if left_s <= 0:
                return 408
            self.request.settimeout(left_s)
            try:
                more = self.request.recv(_MOST_HEAD_BYTES)
            except TimeoutError:
                return 408
            if not more:
                return 400
            head += more
        return head

    def _answer(self, head: bytes | int) -> tuple[bytes, bool]:
        """The answer, and whether its body is asked for."""
        if isinstance(head, int):
            return _response(*_told(head, _REASONS[head])), True
        match = _REQUEST.match(head)
        if match is None:
            return _response(*_told(400, _REASONS[400])), True
        method, path = match[1], match[2].decode("ascii").partition("?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response(*_told(405, _REASONS[405]), "Allow: GET, HEAD\r\n"), True
        return _response(*self._look_up(path)), method == b"GET"

    def _look_up(self, path: str) -> tuple[int, bytes, str]:
        if path not in _PATHS:
            return _told(404, "not found", (f"there are {', '.join(_PATHS)}",))
        try:
            return self.server.answers(path)
        except Exception:
            _log.exception("%s cannot be answered", path)
            return _told(500, "error", ("the server's log says why",))


def _response(status: int, body: bytes, content_type: str, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n{more}\r\n"
    )
    return head.encode() + body
