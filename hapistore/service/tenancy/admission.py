"""How much a service does at once: requests of each tenant and of all, and bytes of their answers in memory."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ...errors import Busy, UsageError
from ...units import format_bytes
from .tenants import Tenant

__all__ = ["Admission", "Busy", "TenantLoad"]


@dataclass(frozen=True, kw_only=True)
class TenantLoad:
    """What one tenant has in a service at a moment.

    Attributes:
        requests: at once; waiting: of those, for bytes of memory.
        bytes: held; refused: requests so far that were told to come later.
    """

    requests: int
    waiting: int
    bytes: int
    refused: int


@dataclass(eq=False)
class _Waiter:
    """One who waits for bytes.

    Attributes:
        turn: its place among all tenants': the work granted before it, each tenant's divided by its weight.
    """

    tenant: Tenant
    bytes: int
    turn: float
    arrival: int
    wake: threading.Condition
    granted: bool = False


@dataclass(eq=False)
class _Account:
    requests: int = 0
    bytes: int = 0
    refused: int = 0
    finish: float = 0.0
    waiting: deque[_Waiter] = field(default_factory=deque)


class Admission:
    """Lets requests in, makes them wait for memory, or tells them to come later. Thread-safe.

    Memory is granted by start-time fair queueing: of those that wait, the one goes first whose tenant had least for its
    weight, and nobody passes it by when it fits all limits of its tenant. So nobody starves, and a tenant alone gets
    all there is.

    Args:
        max_requests: of all tenants at once. max_bytes: likewise, in memory.
        wait_s: how long a request waits for memory.
        retry_after_s: when those who are refused are asked to come again.
    """

    def __init__(
        self, *, max_requests: int = 1024, max_bytes: int = 2 << 30, wait_s: float = 30.0, retry_after_s: float = 1.0
    ) -> None:
        self.max_requests, self.max_bytes = max_requests, max_bytes
        self.wait_s, self.retry_after_s = wait_s, retry_after_s
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._requests = self._bytes = 0
        self._virtual = 0.0  # the turn of whoever was let in last
        self._arrivals = itertools.count()

    @contextmanager
    def request(self, tenant: Tenant) -> Iterator[None]:
        """One request, from its first byte to the last of its answer.

        Raises:
            Busy: the tenant, or all of them, have as many at once as they may.
        """
        with self._lock:
            account = self._account(tenant)
            if account.requests >= tenant.max_requests:
                raise self._busy(account, f"{tenant.name} has {account.requests} requests at once, as many as it may")
            if self._requests >= self.max_requests:
                raise self._busy(account, f"the service has {self._requests} requests at once, as many as it takes")
            account.requests += 1
            self._requests += 1
        try:
            yield
        finally:
            with self._lock:
                account.requests -= 1
                self._requests -= 1

    @contextmanager
    def hold(self, tenant: Tenant, bytes: int) -> Iterator[None]:
        """Memory of a request: waits until there is some.

        More than the tenant's limit is let through while the tenant holds nothing else. To be held once a request: who
        holds some and waits for more may wait for himself, and is refused when the time is up.

        Raises:
            Busy: there was none in time.
            UsageError: it is more than the service takes at all.
        """
        self._acquire(tenant, bytes)
        try:
            yield
        finally:
            with self._lock:
                self._account(tenant).bytes -= bytes
                self._bytes -= bytes
                self._grant()

    def in_flight(self, tenant_name: str) -> int:
        """How many requests of a tenant there are."""
        with self._lock:
            account = self._accounts.get(tenant_name)
            return account.requests if account else 0

    def refused(self, tenant_name: str) -> int:
        """How many requests of a tenant were told to come later."""
        with self._lock:
            account = self._accounts.get(tenant_name)
            return account.refused if account else 0

    def snapshot(self) -> dict[str, TenantLoad]:
        """All tenants that were ever here, by name, as of one moment."""
        with self._lock:
            return {
                name: TenantLoad(requests=one.requests, waiting=len(one.waiting), bytes=one.bytes, refused=one.refused)
                for name, one in sorted(self._accounts.items())
            }

    def _account(self, tenant: Tenant) -> _Account:
        return self._accounts.setdefault(tenant.name, _Account())

    def _busy(self, account: _Account, cause: str) -> Busy:
        account.refused += 1
        return Busy(cause, "try again a little later", retry_after_s=self.retry_after_s)

    def _acquire(self, tenant: Tenant, bytes: int) -> None:
        if bytes < 0:
            raise ValueError(f"{bytes} bytes to hold")
        if bytes > self.max_bytes:
            raise UsageError(
                f"it takes {format_bytes(bytes)} of memory at once, the service has {format_bytes(self.max_bytes)} for "
                "all; ask for smaller pieces, or have its limit raised"
            )
        with self._lock:
            account = self._account(tenant)
            turn = max(self._virtual, account.finish)
            waiter = _Waiter(tenant, bytes, turn, next(self._arrivals), threading.Condition(self._lock))
            account.finish = turn + bytes / tenant.weight
            account.waiting.append(waiter)
            self._grant()
            try:
                self._wait(waiter, account)
            except BaseException:
                self._withdraw(waiter, account)
                raise

    def _wait(self, waiter: _Waiter, account: _Account) -> None:
        deadline = time.monotonic() + self.wait_s
        while not waiter.granted:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                held = f"{waiter.tenant.name} holds {format_bytes(account.bytes)}"
                raise self._busy(account, f"no {format_bytes(waiter.bytes)} of memory in {self.wait_s:.0f} s; {held}")
            waiter.wake.wait(left_s)

    def _withdraw(self, waiter: _Waiter, account: _Account) -> None:
        """Whoever gives up makes room for those behind, or gives back what came at the last moment."""
        if waiter.granted:
            account.bytes -= waiter.bytes
            self._bytes -= waiter.bytes
        else:
            account.waiting.remove(waiter)
        self._grant()

    def _grant(self) -> None:
        """Let in whoever may be; the lock is held."""
        while True:
            heads = [one.waiting[0] for one in self._accounts.values() if one.waiting and self._fits_tenant(one)]
            if not heads:
                return
            first = min(heads, key=lambda head: (head.turn, head.arrival))
            if self._bytes + first.bytes > self.max_bytes:
                return  # none passes it by: it would wait for ever
            account = self._account(first.tenant)
            account.waiting.popleft()
            account.bytes += first.bytes
            self._bytes += first.bytes
            self._virtual = max(self._virtual, first.turn)
            first.granted = True
            first.wake.notify()

    @staticmethod
    def _fits_tenant(account: _Account) -> bool:
        head = account.waiting[0]
        return not account.bytes or account.bytes + head.bytes <= head.tenant.max_bytes
