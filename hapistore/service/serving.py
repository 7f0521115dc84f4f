"""A service from its start to its end: what it is made of, how it is watched, and how it stops."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..catalog import require_store
from ..catalog.names import MARKER
from ..errors import HapistoreError, StoreError
from ..extraction import ExtractionWorker, JobReport, WorkerOptions
from ..stores import ObjectStore
from .actions import Actions
from .flight_server import FlightServer
from .lanes import Lanes
from .making import Making
from .networks.intake import receive_network
from .networks.intake_limits import IntakeLimits
from .networks.stored_network import StoredNetwork
from .reading import Reading
from .tenancy.access import Access
from .tenancy.admission import Admission
from .tenancy.binding import Binding
from .tenancy.tenants import Tenant, TenantFile
from .tenancy.visibility import Visibility
from .watching.metrics import Metrics
from .watching.side_port import Health, SidePort

_log = logging.getLogger(__name__)
_WAITING_THREADS = 256
_LOOK_AT_STORE_S = 10.0
_SHUTDOWN_S = 10.0


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How a service works.

    Attributes:
        binding: where it listens, and who is let in.
        memory_bytes: of extraction, its processes included; default 80 % of what is free.
        decode_threads: images decoded at once.
        answer_bytes: of answers and uploads in memory at once, beside that. max_requests: of all tenants at once.
        networks: which networks are taken from clients.
        metrics: ``HOST:PORT`` of the side port; None: none.
        drain_s: how long requests that were begun may take once the service is to end.
    """

    binding: Binding = field(default_factory=Binding)
    memory_bytes: int | None = None
    decode_threads: int | None = None
    answer_bytes: int = 2 << 30
    max_requests: int = 1024
    networks: IntakeLimits = field(default_factory=IntakeLimits)
    metrics: str | None = None
    drain_s: float = 60.0


class Service:
    """Serves from when it is made until it is closed.

    Args:
        version: of hapistore, for those who watch.

    Raises:
        UsageError: there is no such store, or it cannot be listened there.
    """

    def __init__(self, store: ObjectStore, options: ServeOptions, *, version: str) -> None:
        require_store(store)
        self._store, self._options = store, options
        self._ended, self._reread = threading.Event(), threading.Event()
        self._store_error, self._looked_at = "", 0.0
        self._looking: Future[None] | None = None
        self._stack = contextlib.ExitStack()
        try:
            self._start(store, options, version)
        except BaseException:
            self._stack.close()
            raise

    def _start(self, store: ObjectStore, options: ServeOptions, version: str) -> None:
        self.tenants = TenantFile(options.binding.tokens) if options.binding.tokens else None
        self._metrics = Metrics(version=version)
        threads: dict[str, Any] = {"decode_threads": options.decode_threads} if options.decode_threads else {}
        worker_options = WorkerOptions(memory_bytes=options.memory_bytes, keep_reports=False, isolate=True, **threads)
        self._worker = self._stack.enter_context(ExtractionWorker(store, worker_options, on_progress=self._progressed))
        self._lanes = Lanes(self._worker, network=self._network, on_shard=self._made, on_shared=self._metrics.shared)
        self._stack.callback(self._lanes.close)
        self._admission = Admission(max_requests=options.max_requests, max_bytes=options.answer_bytes)
        self._visibility = Visibility(store)
        self._pool = pool = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="hapistore-answer")
        self._stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        reading = Reading(
            store, visibility=self._visibility, admission=self._admission, lanes=self._lanes, pool=pool,
            watch=self._metrics,
        )  # fmt: skip
        actions = Actions(
            store, visibility=self._visibility, admission=self._admission, lanes=self._lanes, worker=self._worker,
            drain=self.drain,
        )  # fmt: skip
        self._server = FlightServer(
            options.binding.location(),
            tls=options.binding.tls(),
            access=Access(self.tenants, failed=self._metrics.authentication_failed),
            reading=reading,
            actions=actions,
            take=_Take(store, options.networks, self._visibility),
            admission=self._admission,
            metrics=self._metrics,
            pool=pool,
        )
        self._watch_by(options)

    def _watch_by(self, options: ServeOptions) -> None:
        self._side_port = None
        if options.metrics is None:
            return
        self._metrics.watch(
            queue_length=lambda: sum(lane["waiting"] for lane in self._lanes.waiting()),
            memory_budget_bytes=lambda: self._worker.report().budget_bytes,
            memory_planned_bytes=lambda: self._worker.report().planned_bytes,
            memory_peak_bytes=lambda: self._worker.report().peak_bytes,
        )
        self._side_port = self._stack.enter_context(
            SidePort(options.metrics, health=self.health, metrics=self._metrics.exposition)
        )

    @property
    def url(self) -> str:
        """What clients connect to."""
        return self._options.binding.url(int(self._server.port))

    @property
    def memory_bytes(self) -> int:
        """Of extraction."""
        return self._worker.report().budget_bytes

    @property
    def watched_at(self) -> str:
        """Address of the side port; "" where there is none."""
        return self._side_port.address if self._side_port else ""

    def health(self) -> Health:
        """How it is; tells what was last seen, and waits for nothing."""
        reasons = []
        if self._server.draining:
            reasons.append("draining")
        if self._worker.broken is not None:
            reasons.append(f"worker broken: {self._worker.broken!r:.200}")
        if self._store_error:
            reasons.append(f"store unreachable: {self._store_error:.200}")
        return Health(unhealthy=tuple(reasons))

    def drain(self) -> None:
        """Have `wait` take nothing new, and return when what was begun is done. Safe in a signal's handler."""
        self._ended.set()

    def read_tenants_again(self) -> None:
        """Have `wait` read the file of tenants again. Safe in a signal's handler."""
        self._reread.set()

    def _reload(self) -> None:
        """Read the file of tenants; one that cannot be used changes nothing, and is told to the log."""
        self._reread.clear()
        if self.tenants is None:
            return
        try:
            self.tenants.reload()
        except HapistoreError as error:
            _log.error("tenants stay as they were: %s", error)
        else:
            _log.info("tenants are read again: there are %d", len(self.tenants.tenants))

    def wait(self) -> bool:
        """Until it is told to drain, and has. Whether nothing was cut off, and the worker is whole."""
        while not self._ended.wait(0.5) and self._worker.broken is None:
            self._look_at_store()
            if self._reread.is_set():
                self._reload()
        self._server.draining = True
        until = time.monotonic() + self._options.drain_s
        while self._busy and time.monotonic() < until:
            time.sleep(0.05)
        self._lanes.draining = True
        if self._busy:
            _log.warning("requests are cut off that took longer than %.0f s after the end", self._options.drain_s)
        return not self._busy and self._worker.broken is None

    def close(self) -> bool:
        """End at once. What was stored stays; what was being made is made again when somebody asks for it.

        Returns:
            whether all threads have ended; False where a client takes nothing of its answer.
        """
        self._server.draining = True
        self._lanes.close()  # whoever waits is told to come again
        # Flight waits for streams to be taken to their end, for ever if need be.
        ending = threading.Thread(target=self._server.shutdown, name="hapistore-shutdown", daemon=True)
        ending.start()
        ending.join(_SHUTDOWN_S)
        self._stack.close()
        return not ending.is_alive()

    @property
    def _busy(self) -> bool:
        return bool(sum(one.requests for one in self._admission.snapshot().values())) or not self._lanes.idle

    def _look_at_store(self) -> None:
        """Now and then, on a thread of its own: a store that is away is asked for long."""
        if (self._looking is None or self._looking.done()) and time.monotonic() > self._looked_at + _LOOK_AT_STORE_S:
            self._looked_at = time.monotonic()
            self._looking = self._pool.submit(self._see_store)

    def _see_store(self) -> None:
        try:
            self._store.head(MARKER)
            self._store_error = ""
        except StoreError as error:
            self._store_error = str(error)
            _log.warning("the store cannot be reached: %s", error)

    def _network(self, digest: str) -> StoredNetwork:
        limits = self._options.networks
        return StoredNetwork(
            self._store, digest, allow_onnx=limits.allow_onnx, require_confinement=limits.require_confinement
        )

    def _progressed(self, report: JobReport) -> None:
        self._lanes.progressed(report)

    def _made(self, making: Making) -> None:
        if not making.failed:
            self._metrics.extracted(making.wish.plain.label, images=making.wish.shard.rows)


class _Take:
    """Takes networks into the store."""

    def __init__(self, store: ObjectStore, limits: IntakeLimits, visibility: Visibility) -> None:
        self._store, self._limits, self._visibility = store, limits, visibility
        self.max_bytes = limits.max_bytes

    def __call__(self, tenant: Tenant, header: Mapping[str, Any], payload: bytearray) -> str:
        recipe = receive_network(self._store, header, memoryview(payload), self._limits)
        self._visibility.registered(tenant, recipe.digest)
        return recipe.digest
