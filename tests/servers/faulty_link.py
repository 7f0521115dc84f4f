"""A TCP link before a server that breaks a part of the transfers. It knows nothing of HTTP, and breaks headers too.

A transfer is a request with its answer; which of the two breaks, and at which of its bytes, is random.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from faults import Faults, reset
from processes import free_ports

WAYS = ("refused", "reset", "truncated", "stalled", "garbled")
_GARBLED_BYTES = 16
_SLOT_S = 0.03  # so long the door is shut
_PAUSE_S = 0.02  # after which a transfer is taken to be over
_AT_MOST = 1 << 20  # bytes of a transfer of which one is chosen


@contextlib.contextmanager
def faulty_link(upstream: str, rate: float, *, ways: tuple[str, ...] = WAYS, **options: object) -> Iterator[Faults]:
    """A running link to ``upstream`` (``http://host:port``)."""
    faults = Faults(upstream, rate, ways, **options)
    link = _Link(faults)
    thread = threading.Thread(target=link.serve, daemon=True)
    thread.start()
    try:
        yield faults
    finally:
        link.ended.set()
        thread.join()


class _Link:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        (port,) = free_ports(1)
        # A port that was asked for stays the socket's own while it does not listen; one that was given does not.
        self._door = socket.create_server(("127.0.0.1", port), backlog=64)
        self._door.settimeout(_SLOT_S)
        faults.endpoint = f"http://127.0.0.1:{port}"
        self.ended = threading.Event()

    def serve(self) -> None:
        """Take connections in, and shut the door for a part of the time: the system then refuses them."""
        is_open = True
        while not self.ended.is_set():
            refuses = self._faults.happens("refused")
            if refuses and is_open:
                self._door.shutdown(socket.SHUT_RDWR)
            elif not refuses and not is_open:
                self._door.listen(64)
            is_open = not refuses
            if refuses:
                self.ended.wait(_SLOT_S)
                continue
            with contextlib.suppress(TimeoutError):
                client, _ = self._door.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()
        self._door.close()

    def _carry(self, client: socket.socket) -> None:
        host = urlsplit(self._faults.upstream)
        server = socket.create_connection((host.hostname, host.port))
        # Ends that hang up are part of the game.
        with client, server, contextlib.suppress(OSError):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._exchange(client, server)

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        sender, way, breaks = server, "passed", client
        while not self.ended.is_set():
            for source in select.select([client, server], [], [], 0.5)[0]:
                if source is client and sender is server:  # another request
                    way = self._faults.draw(but="refused")
                    breaks = (client, server)[self._faults.pick(2)]
                sender = source
                if way != "passed" and source is breaks:
                    if not self._break(way, source, other[source]):
                        return
                    way = "passed"
                elif data := source.recv(1 << 16):
                    other[source].sendall(data)
                else:
                    return

    def _break(self, way: str, source: socket.socket, target: socket.socket) -> bool:
        """Send on what comes, up to a random byte, and what is left of it in this way; whether the link still holds."""
        data = _gather(source)
        at = self._faults.pick(max(1, len(data)))
        if way == "garbled" and data:
            noise = self._faults.noise(min(_GARBLED_BYTES, len(data) - at))
            target.sendall(data[:at] + noise + data[at + len(noise) :])
            return True
        target.sendall(data[:at])
        if way == "truncated":
            return False  # both ends see an orderly end
        if way == "stalled":
            time.sleep(self._faults.stall_s)
        reset(source)
        reset(target)
        return False


def _gather(source: socket.socket) -> bytes:
    """What comes until there is a pause."""
    data = bytearray()
    while len(data) < _AT_MOST and (not data or select.select([source], [], [], _PAUSE_S)[0]):
        piece = source.recv(1 << 16)
        if not piece:
            break
        data += piece
    return bytes(data)
