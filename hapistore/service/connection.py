"""One connection to a service: opened again where it breaks, going on where it was."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import flight

from ..errors import HapistoreError, TransientError, UsageError
from ..stores.retrying import Retrier, RetryOptions
from .arriving import Arriving, Message, Rooms
from .packing import unpack
from .relay import Relay
from .wire import BYTES, CHUNK_BYTES, MOST_ACTION_BYTES, TOKEN_HEADER, Ticket, batch_of, beside, bytes_of, read_beside
from .wire_errors import from_flight

SCHEMES = ("grpc", "grpc+tls")
DEFAULT_PORT = 8815
_Out = TypeVar("_Out")
_SILENT_MS = 2000  # the service says something several times meanwhile
# Without all of these, a client waits for a minute or for ever on a link that has gone silent.
_PINGS = [
    ("grpc.keepalive_time_ms", _SILENT_MS),
    ("grpc.keepalive_timeout_ms", _SILENT_MS),
    ("grpc.http2.ping_timeout_ms", _SILENT_MS),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", _SILENT_MS),  # a connection may take so long to come about, TLS included
]

_clients_of_process = 0
"""The process whose gRPC has been begun: it does not outlive a fork, after which a call hangs, and ending it aborts."""
_never_ended: list[Any] = []
_relaying = threading.Lock()


def _begin_fork() -> None:
    """A lock that another thread held at the fork is held for ever in the child."""
    global _relaying
    _relaying = threading.Lock()


os.register_at_fork(after_in_child=_begin_fork)


class Connection:
    """To one service. Thread-safe; pickles to what opens it again, the token included.

    Args:
        url: ``grpc://host:port``, or ``grpc+tls://host:port``.
        token: whose it is; None where the service asks for none.
        tls_root: file of the certificate that the service's is signed by; None: those that the system trusts.
        retries: how long to try again what failed.

    Raises:
        UsageError: the URL is of another kind, or the certificate cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tls_root: str | os.PathLike[str] | None = None,
        retries: RetryOptions | None = None,
    ) -> None:
        self.url, self._options = _checked(url), {"token": token, "tls_root": tls_root, "retries": retries}
        self._headers = [(TOKEN_HEADER.encode(), f"Bearer {token}".encode())] if token else []
        self._roots = _read_roots(tls_root)
        self._retrier = Retrier(retries or RetryOptions())
        self._lock = threading.Lock()
        self._open_client: flight.FlightClient | None = None
        self._relay: Relay | None = None
        self._rooms = Rooms()

    def __reduce__(self) -> tuple[Callable[..., Connection], tuple[Any, ...]]:
        return _reopen, (self.url, self._options)

    def close(self) -> None:
        """Close it; what is asked for later opens it again."""
        if self._forked:
            with _relaying:
                relay, self._relay = self._relay, None
            if relay is not None and relay.process == os.getpid():
                relay.close()
            return
        with self._lock:
            client, self._open_client = self._open_client, None
        if client is not None:
            client.close()

    def read(self, ticket: Ticket, name: str) -> memoryview:
        """All that a ticket gives, read-only; after a break it goes on at the next byte.

        Raises:
            NotFound, UsageError, HapistoreError: what the service says.
            StoreError: it cannot be reached for too long.
        """
        if self._forked:
            return self._relayed().read(ticket, name)
        found = Arriving(ticket, self._rooms)
        return self.run("reading", name, lambda: found.go_on(self.stream))

    def act(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What an action answers.

        Raises:
            NotFound, UsageError, HapistoreError: what the service says.
            StoreError: it cannot be reached for too long.
        """
        if self._forked:
            return self._relayed().act(action, body)
        data = json.dumps(body, separators=(",", ":")).encode()
        if len(data) > MOST_ACTION_BYTES:
            raise UsageError(f"{action} would send {len(data):,} bytes, expected {MOST_ACTION_BYTES:,} at most")

        def once(client: flight.FlightClient, options: flight.FlightCallOptions) -> dict[str, Any]:
            for result in client.do_action(flight.Action(action, data), options):
                value = json.loads(result.body.to_pybytes())
                if "making" not in value:
                    return value
            raise TransientError(f"{action} got no answer", "check the link to the service")

        return self.run("asking", f"{self.url}: {action}", lambda: self._call(once))

    def send(self, header: Mapping[str, Any], payload: bytes | memoryview) -> dict[str, Any]:
        """Hand something over, and what is answered.

        Args:
            header: JSON; payload: the bytes.

        Raises:
            UsageError, HapistoreError: the service does not take it; it says why.
        """
        descriptor = flight.FlightDescriptor.for_command(json.dumps(header).encode())
        view = memoryview(payload)

        def once(client: flight.FlightClient, options: flight.FlightCallOptions) -> dict[str, Any]:
            writer, answers = client.do_put(descriptor, BYTES, options)
            with writer:
                writer.write_metadata(beside(bytes=len(view)))
                for start in range(0, len(view), CHUNK_BYTES):
                    writer.write_batch(batch_of(view[start : start + CHUNK_BYTES]))
                writer.done_writing()
                answer = answers.read()
                while answer is not None:
                    value = json.loads(answer.to_pybytes())
                    if "making" not in value:
                        return value
                    answer = answers.read()
            raise TransientError("it got no answer", "check the link to the service")

        return self.run("sending", f"{self.url}: {header.get('kind', '')}", lambda: self._call(once))

    def stream(self, ticket: Ticket) -> Iterator[Message]:
        """A ticket's messages, one attempt.

        Raises:
            TransientError: it broke; StoreError, HapistoreError: what the service says.
        """
        client, options = self._client()
        try:
            reader = client.do_get(flight.Ticket(ticket.serialise()), options)
            try:
                for batch, metadata in reader:
                    data, about = bytes_of(batch), read_beside(metadata)
                    yield Message(unpack(data, about["packed"]) if "packed" in about else data, about)
            finally:
                reader.cancel()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._broken(error, client) from error

    def _call(self, once: Callable[[flight.FlightClient, flight.FlightCallOptions], _Out]) -> _Out:
        client, options = self._client()
        try:
            return once(client, options)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._broken(error, client) from error

    def run(self, operation: str, name: str, request: Callable[[], _Out]) -> _Out:
        """A request until it does not raise TransientError.

        Raises:
            StoreError: it is time to give up.
        """
        return self._retrier.run(operation, name, lambda _: request())

    @property
    def _forked(self) -> bool:
        """Whether this process was forked from one that had begun to use gRPC, as loader workers are."""
        return _clients_of_process not in (0, os.getpid())

    def _relayed(self) -> Relay:
        """A process of this one's own, which asks in its place."""
        with _relaying:
            if self._relay is None or self._relay.process != os.getpid():
                _never_ended.append(self._open_client)
                self._open_client = None
                self._relay = Relay(self.url, self._options)
            return self._relay

    def _broken(self, error: Exception, client: flight.FlightClient) -> HapistoreError:
        """The error to raise; a connection that broke is not used again."""
        found = from_flight(error)
        if isinstance(found, TransientError) and not found.throttled:
            with self._lock:
                if self._open_client is client:
                    self._open_client = None  # not closed: other threads' streams end by themselves
        return found

    def _client(self) -> tuple[flight.FlightClient, flight.FlightCallOptions]:
        global _clients_of_process
        if self._forked:
            raise UsageError("a forked process cannot do this with a service; start it by spawn or forkserver")
        with self._lock:
            if self._open_client is None:
                location = self.url if self.url.startswith("grpc+tls") else self.url.replace("grpc://", "grpc+tcp://")
                self._open_client = flight.FlightClient(location, tls_root_certs=self._roots, generic_options=_PINGS)
                _clients_of_process = os.getpid()
            return self._open_client, flight.FlightCallOptions(headers=self._headers)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.path.strip("/"):
        raise UsageError(f"service {url!r} is none: expected grpc://HOST:PORT or grpc+tls://HOST:PORT")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError as error:
        raise UsageError(f"service {url!r}: {error}") from error
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _read_roots(path: str | os.PathLike[str] | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"certificate {os.fspath(path)}: {error.strerror or error}") from error


def _reopen(url: str, options: dict[str, Any]) -> Connection:
    return Connection(url, **options)
