"""A proxy in front of an HTTP server that breaks a part of the requests on the wire, as networks and servers do."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from faults import Faults, reset

WAYS = ("refused", "throttled", "reset", "lost", "truncated", "stalled", "wrong")
_HOP = {"connection", "keep-alive", "transfer-encoding", "proxy-connection"}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the game."""


@contextlib.contextmanager
def faulty_proxy(upstream: str, rate: float, *, ways: tuple[str, ...] = WAYS, **options: object) -> Iterator[Faults]:
    """A running proxy before ``upstream`` (``http://host:port``)."""
    proxy = Faults(upstream, rate, ways, **options)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = _Server(("127.0.0.1", 0), handler)
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Faults

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        way = self.proxy.draw() if self.proxy.only in self.path else "passed"
        if way in ("refused", "throttled"):
            self._refuse(503 if way == "refused" else 429)
        elif way == "reset":
            self._reset()
        elif way == "stalled":
            time.sleep(self.proxy.stall_s)
            self._reset()
        else:
            self._forward(body, way)

    # Names that the base class looks for.
    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _any  # noqa: N815

    def _forward(self, body: bytes, way: str) -> None:
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=60)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            data = answer.read()
        self.proxy.passed.append((self.command, self.path, answer.status))
        if way == "lost":
            self._reset()
            return
        if way == "wrong" and data:
            changed = bytearray(data)
            changed[self.proxy.pick(len(data))] ^= 1 << self.proxy.pick(8)
            data = bytes(changed)
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in {*_HOP, "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        if way == "truncated" and data:
            self.wfile.write(data[: len(data) // 2])
            self._reset()
        elif self.command != "HEAD":
            self.wfile.write(data)

    def _refuse(self, status: int) -> None:
        data = b"<Error><Code>SlowDown</Code></Error>"
        self.send_response_only(status, "Slow Down")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _reset(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        reset(self.connection)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are counted, not printed."""
