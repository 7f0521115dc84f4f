"""Who asks: the token of a Flight call as a tenant, before anything else of the call is looked at."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyarrow import flight

from .tenants import ANYBODY, Tenant, TenantFile

MIDDLEWARE = "tenant"
"""Handlers ask for it by this name: ``context.get_middleware("tenant").tenant``."""
_REFUSAL = "no valid token"  # the same for none and for a wrong one
_SCHEME = "bearer"
_LOG_EVERY_S = 10.0
_log = logging.getLogger(__name__)


class Asker(flight.ServerMiddleware):
    """Of one call.

    Attributes:
        tenant: who makes it.
    """

    def __init__(self, tenant: Tenant) -> None:
        super().__init__()
        self.tenant = tenant


class Access(flight.ServerMiddlewareFactory):
    """Lets calls with the token of a tenant in, and tells others nothing. Thread-safe.

    Args:
        tenants: None: everybody is let in, as ANYBODY.
        failed: is called for each call that is refused.

    Attributes:
        refused: how many calls were.
    """

    def __init__(
        self,
        tenants: TenantFile | None,
        *,
        failed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._tenants, self._failed, self._clock = tenants, failed, clock
        self._lock = threading.Lock()
        self.refused = 0
        self._logged_at: float | None = None
        self._logged = 0

    def start_call(self, info: Any, headers: Mapping[str, Sequence[str | bytes]]) -> Asker:
        """Called by Flight.

        Raises:
            FlightUnauthenticatedError: the call has no token, or none that is known.
        """
        tenant = ANYBODY if self._tenants is None else self._find(self._tenants, headers)
        if tenant is None:
            self._note()
            raise flight.FlightUnauthenticatedError(_REFUSAL)
        return Asker(tenant)

    @staticmethod
    def _find(tenants: TenantFile, headers: Mapping[str, Sequence[str | bytes]]) -> Tenant | None:
        values = [value for name, found in headers.items() if name.lower() == "authorization" for value in found]
        if len(values) != 1:  # several: a proxy may have checked another one than we would
            return None
        value = values[0] if isinstance(values[0], str) else values[0].decode("latin-1")
        scheme, _, token = value.partition(" ")
        return tenants.find(token) if scheme.lower() == _SCHEME else None

    def _note(self) -> None:
        """Count, and say so now and then: who tries tokens must not fill the disk with lines. Never the token."""
        self._failed()
        with self._lock:
            self.refused += 1
            now = self._clock()
            if self._logged_at is not None and now - self._logged_at < _LOG_EVERY_S:
                return
            new, self._logged, self._logged_at = self.refused - self._logged, self.refused, now
        _log.warning("%d calls without a valid token were refused, %d so far", new, self.refused)
