"""A TCP proxy before a gRPC server (HTTP/2, no TLS) that breaks connections in the midst of what they carry.

One gRPC connection carries many calls for long, so it is the call that is drawn for: each one begins with a frame of
headers from the client, and may take the whole connection along at some later byte of the answers. Only ``503`` is
drawn for a connection, as that is what a gateway answers that has no server.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from faults import reset

WAYS = ("503", "reset", "truncated", "stalled")
_ANSWER_503 = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LOOK_EVERY_S, _HANGS_UP_WITHIN_S = 0.1, 1.0
_PREFACE_BYTES, _FRAME_HEAD_BYTES, _HEADERS = 24, 9, 1


class StreamFaults:
    """How much a proxy breaks, and what it has done so far.

    Attributes:
        location: where clients find it, ``grpc://host:port``.
        rates: share of the connections (``503``) or calls (the rest) that break in each way; may be changed any time.
        most_bytes: of answers that pass before a break; how many is drawn anew each time, evenly over orders of
            magnitude, so that breaks come in the first bytes and amid large answers. Where an answer is shorter, the
            break comes in the next one.
        stall_s: how long a stalled connection is kept; then both ends see a reset.
        done: what happened, by way; ``passed`` counts connections that were let in. calls: begun so far.
        bytes: handed on so far, in both directions.
    """

    def __init__(
        self, rates: Mapping[str, float], *, seed: int = 0, most_bytes: int = 4 << 20, stall_s: float = 30.0
    ) -> None:
        if unknown := set(rates) - set(WAYS):
            raise ValueError(f"ways to break are {', '.join(WAYS)}, not {', '.join(sorted(unknown))}")
        self.rates, self.most_bytes, self.stall_s = dict(rates), most_bytes, stall_s
        self.location, self.calls, self.bytes = "", 0, 0
        self.done: Counter[str] = Counter()
        self._random, self._lock = random.Random(seed), threading.Lock()

    def draw(self, *ways: str) -> str | None:
        """The one of these ways that happens, or none."""
        with self._lock:
            at = self._random.random()
            for way in ways:
                at -= self.rates.get(way, 0.0)
                if at < 0:
                    return way
            return None

    def draw_bytes(self) -> int:
        """After how many bytes a break comes, 1 or more."""
        with self._lock:
            return int(self.most_bytes ** self._random.random())

    def count(self, what: str) -> None:
        """That this happened."""
        with self._lock:
            self.done[what] += 1

    def count_calls(self, calls: int) -> None:
        with self._lock:
            self.calls += calls

    def count_bytes(self, size: int) -> None:
        with self._lock:
            self.bytes += size


@contextlib.contextmanager
def faulty_streams(upstream: str, rates: Mapping[str, float], **options: object) -> Iterator[StreamFaults]:
    """A running proxy before ``upstream`` (``host:port``); see ``StreamFaults`` for the rest.

    Raises:
        ValueError: a way that there is not.
    """
    faults = StreamFaults(rates, **options)
    proxy = _Proxy(faults, upstream.rpartition("//")[2])
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield faults
    finally:
        proxy.ended.set()
        thread.join()


class _Proxy:
    def __init__(self, faults: StreamFaults, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._faults, self._upstream = faults, (host, int(port))
        self._door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._door.settimeout(_LOOK_EVERY_S)
        faults.location = f"grpc://127.0.0.1:{self._door.getsockname()[1]}"
        self.ended = threading.Event()

    def serve(self) -> None:
        """Let connections in, each on a thread of its own, until the end; then wait for all of them."""
        carrying: list[threading.Thread] = []
        while not self.ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._door.accept()
                carrying = [thread for thread in carrying if thread.is_alive()]
                carrying.append(threading.Thread(target=self._carry, args=(client,)))
                carrying[-1].start()
        self._door.close()
        for thread in carrying:
            thread.join()

    def _carry(self, client: socket.socket) -> None:
        # Ends that hang up are part of the game.
        with client, contextlib.suppress(OSError):
            if self._faults.draw("503"):
                self._faults.count("503")
                self._refuse(client)
                return
            with socket.create_connection(self._upstream) as server:
                self._faults.count("passed")
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    end.settimeout(_LOOK_EVERY_S)
                _Connection(self._faults, client, server, self.ended).exchange()

    def _refuse(self, client: socket.socket) -> None:
        """Answer what the client said first."""
        client.settimeout(_HANGS_UP_WITHIN_S)
        client.recv(1 << 16)
        client.sendall(_ANSWER_503)
        _end_orderly(client)


class _Connection:
    """One connection to the server, and the break that it may be heading for."""

    def __init__(
        self, faults: StreamFaults, client: socket.socket, server: socket.socket, ended: threading.Event
    ) -> None:
        self._faults, self._client, self._server, self._ended = faults, client, server, ended
        self._calls = CallCounter()
        self._way: str | None = None
        self._bytes_left = 0

    def exchange(self) -> None:
        """Hand on what comes, until an end hangs up or the connection breaks."""
        other = {self._client: self._server, self._server: self._client}
        while not self._ended.is_set():
            for source in select.select(list(other), [], [], _LOOK_EVERY_S)[0]:
                data = source.recv(1 << 16)
                if not data:
                    return
                if source is self._client:
                    self._look_out(data)
                elif self._way and len(data) >= self._bytes_left:
                    self._send(self._client, data[: self._bytes_left])
                    self._break(self._way)
                    return
                else:
                    self._bytes_left -= len(data)
                self._send(other[source], data)

    def _look_out(self, data: bytes) -> None:
        """Draw for each call that begins, unless a break is due already."""
        calls = self._calls.feed(data)
        self._faults.count_calls(calls)
        for _ in range(calls):
            if self._way is None and (way := self._faults.draw(*WAYS[1:])):
                self._way, self._bytes_left = way, self._faults.draw_bytes()

    def _send(self, target: socket.socket, data: bytes) -> None:
        """All of it, however slowly it is taken, unless the end comes meanwhile."""
        self._faults.count_bytes(len(data))
        left = memoryview(data)
        while left and not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                left = left[target.send(left) :]

    def _break(self, way: str) -> None:
        self._faults.count(way)
        if way == "truncated":
            _end_orderly(self._client)
            return
        if way == "stalled":
            until = time.monotonic() + self._faults.stall_s
            while time.monotonic() < until and not self._ended.wait(_LOOK_EVERY_S):
                pass
        reset(self._client)
        reset(self._server)


def _end_orderly(connection: socket.socket) -> None:
    """Say that nothing follows, and wait for the same: what came and nobody read would make a reset of the end.

    Raises:
        TimeoutError: the other end does not hang up.
    """
    connection.settimeout(_HANGS_UP_WITHIN_S)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(1 << 16):
        pass


class CallCounter:
    """How many calls begin in what a client sends over one HTTP/2 connection."""

    def __init__(self) -> None:
        self._skip = _PREFACE_BYTES  # bytes that no frame's head is in
        self._head = b""

    def feed(self, data: bytes) -> int:
        """Calls that begin in the next piece of it, whose edges may lie anywhere."""
        calls = at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(_FRAME_HEAD_BYTES - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == _FRAME_HEAD_BYTES:
                    calls += self._head[3] == _HEADERS
                    self._skip, self._head = int.from_bytes(self._head[:3], "big"), b""
            at += step
        return calls
