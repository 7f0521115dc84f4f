"""The Arrow Flight face of a service: who asks, what is logged and counted, and how errors cross."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

from pyarrow import flight

from ..errors import HapistoreError, TransientError, UsageError
from .actions import ACTIONS, Actions
from .beating import beating
from .reading import Reading, Sent
from .tenancy.access import MIDDLEWARE, Access
from .tenancy.admission import Admission
from .tenancy.tenants import Tenant
from .watching.logs import log_request
from .watching.metrics import Metrics, outcome_of
from .wire import BYTES, MOST_ACTION_BYTES, MOST_TICKET_BYTES, bytes_of, parse_object, parse_ticket
from .wire_errors import to_flight

_log = logging.getLogger(__name__)


class TakesNetworks(Protocol):
    """What becomes of a network that a tenant sends; the digest of its recipe."""

    max_bytes: int

    def __call__(self, tenant: Tenant, header: Mapping[str, Any], payload: bytearray) -> str: ...


class FlightServer(flight.FlightServerBase):
    """Answers from when it is made until ``shutdown``, on threads of its own.

    Args:
        location: where to listen, such as ``grpc://127.0.0.1:8815``. tls: certificate and key, PEM, where it is TLS.
        access: middleware that finds the tenant of a request.
    """

    def __init__(
        self,
        location: str,
        *,
        tls: tuple[bytes, bytes] | None,
        access: Access,
        reading: Reading,
        actions: Actions,
        take: TakesNetworks,
        admission: Admission,
        metrics: Metrics,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._reading, self._actions, self._take = reading, actions, take
        self._admission, self._metrics, self._pool = admission, metrics, pool
        self.draining = False
        super().__init__(location, tls_certificates=[tls] if tls else None, middleware={MIDDLEWARE: access})

    def list_actions(self, context: flight.ServerCallContext) -> list[tuple[str, str]]:
        return list(ACTIONS.items())

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.FlightDataStream:
        return flight.GeneratorStream(BYTES, self._get(_tenant(context), ticket.ticket))

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[bytes]:
        return self._act(_tenant(context), action.type, memoryview(action.body or b""))

    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        tenant = _tenant(context)
        with self._request(tenant, "put"):
            if len(descriptor.command or b"") > MOST_TICKET_BYTES:
                raise UsageError(f"what is said of the network has more than {MOST_TICKET_BYTES:,} bytes")
            header = parse_object(descriptor.command or b"", "what is said of the network")
            size = _announced(reader, self._take.max_bytes)
            with self._admission.hold(tenant, size):
                payload = _received(reader, size)
                self._metrics.received(tenant.name, size)
                digest = _drive(
                    beating(self._pool, lambda: self._take(tenant, header, payload), lambda: None),
                    lambda: writer.write(json.dumps({"making": [0, 0]}).encode()),
                )
            writer.write(json.dumps({"recipe": digest}).encode())

    def list_flights(self, context: flight.ServerCallContext, criteria: bytes) -> Any:
        raise _not_here()

    def get_flight_info(self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor) -> Any:
        raise _not_here()

    def get_schema(self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor) -> Any:
        raise _not_here()

    def do_exchange(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.MetadataRecordBatchWriter,
    ) -> None:
        raise _not_here()

    def _get(self, tenant: Tenant, ticket: bytes) -> Generator[Sent, None, None]:
        try:
            parsed = parse_ticket(ticket)
        except HapistoreError as error:
            with self._request(tenant, "ticket"):
                raise error
        with self._request(tenant, parsed.kind) as request:
            for batch, about in self._reading.answer(tenant, parsed):
                yield batch, about
                request.bytes += batch.num_rows
                self._metrics.sent(tenant.name, batch.num_rows)

    def _act(self, tenant: Tenant, action: str, body: memoryview) -> Generator[bytes, None, None]:
        with self._request(tenant, action if action in ACTIONS else "action"):
            if len(body) > MOST_ACTION_BYTES:
                raise UsageError(f"the action has {len(body):,} bytes, expected {MOST_ACTION_BYTES:,} at most")
            said = parse_object(body, "the action's body") if len(body) else {}
            beat = json.dumps({"making": [0, 0]}).encode()
            answer = yield from beating(self._pool, lambda: self._actions.act(tenant, action, said), lambda: beat)
            yield json.dumps(answer).encode()

    @contextmanager
    def _request(self, tenant: Tenant, kind: str) -> Iterator[_Request]:
        """One request: admitted, counted, logged; its errors are ones that cross."""
        request = _Request(tenant.name, kind)
        try:
            with self._metrics.request(tenant.name, kind), self._admission.request(tenant):
                if self.draining:
                    raise TransientError("the service is about to end", "try again in a moment", throttled=True)
                yield request
        except HapistoreError as error:
            request.log(error)
            raise to_flight(error) from error
        except Exception as error:
            request.log(error, level=logging.ERROR)
            _log.exception("request %s", request.id)
            about = f"the service failed at this request ({type(error).__name__}); its log has {request.id}"
            raise to_flight(HapistoreError(about)) from error
        except BaseException as error:  # whoever asked has gone
            request.log(error)
            raise
        else:
            request.log(None)


class _Request:
    """What is logged of a request."""

    def __init__(self, tenant: str, kind: str) -> None:
        self.tenant, self.kind, self.bytes = tenant, kind, 0
        self.id, self._began = uuid.uuid4().hex[:12], time.monotonic()

    def log(self, error: BaseException | None, *, level: int = logging.INFO) -> None:
        log_request(
            _log,
            "request",
            tenant=self.tenant,
            request_id=self.id,
            kind=self.kind,
            outcome=outcome_of(error),
            seconds=round(time.monotonic() - self._began, 4),
            bytes=self.bytes,
            level=level,
            error=error if isinstance(error, Exception) else None,
        )


def _not_here() -> flight.FlightError:
    # What pyarrow answers in place of this is a traceback.
    return to_flight(UsageError("this service has tickets, actions and uploads, and nothing else of Arrow Flight"))


def _tenant(context: flight.ServerCallContext) -> Tenant:
    tenant: Tenant = context.get_middleware(MIDDLEWARE).tenant
    return tenant


def _announced(reader: flight.MetadataRecordBatchReader, most: int) -> int:
    """How many bytes are to come."""
    if reader.schema != BYTES:
        raise UsageError("what comes has other columns than one of bytes")
    try:
        beside = reader.read_chunk().app_metadata
    except StopIteration:
        raise UsageError("nothing comes after what is said of the network") from None
    size = parse_object(beside.to_pybytes() if beside is not None else b"", "the length").get("bytes")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= most:
        raise UsageError(f"the network has {size!r:.40} bytes, expected 1 to {most:,}")
    return size


def _received(reader: flight.MetadataRecordBatchReader, size: int) -> bytearray:
    """As many bytes as were announced."""
    payload = bytearray(size)
    came = 0
    for batch, _ in reader:
        data = bytes_of(batch)
        if came + len(data) > size:
            raise UsageError(f"more bytes came than the {size:,} that were announced")
        payload[came : came + len(data)] = data
        came += len(data)
    if came < size:
        raise UsageError(f"{came:,} bytes came of the {size:,} that were announced")
    return payload


def _drive(beats: Generator[None, None, str], say: Callable[[], None]) -> str:
    """Run it to its end, and say so at each beat."""
    while True:
        try:
            next(beats)
        except StopIteration as end:
            return str(end.value)
        say()
