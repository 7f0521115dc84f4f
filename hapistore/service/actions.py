"""What a service does besides streams: look, list, tell, cancel, plan, end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import UsageError
from ..extraction import ExtractionWorker
from ..stores import ObjectStore
from ..stores.protocol import ObjectInfo
from .lanes import Lanes
from .plans.planning_action import PlanRequest, plan_action
from .tenancy.admission import Admission
from .tenancy.tenants import Tenant
from .tenancy.visibility import Visibility

ACTIONS = {
    "head": "Size and age of an object.",
    "list": "Objects by the beginning of their names, a page at a time.",
    "status": "What the service is doing, and has done.",
    "plan": "Where to cut a network, by what the storage tier measures.",
    "cancel": "Take back what one waits for.",
    "drain": "Finish what was begun, and end.",
}
_PAGE, _LOOKED_AT = 1000, 20_000  # names of a page; and of those that are looked at for it


class Actions:
    """Answers actions.

    Args:
        drain: begins to end the service.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        visibility: Visibility,
        admission: Admission,
        lanes: Lanes,
        worker: ExtractionWorker,
        drain: Callable[[], None],
    ) -> None:
        self._store, self._visibility, self._admission = store, visibility, admission
        self._lanes, self._worker, self._begin_drain = lanes, worker, drain
        self._began = time.monotonic()

    def act(self, tenant: Tenant, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What an action answers: plain data.

        Raises:
            UsageError: there is no such action, or it is not for this tenant.
            NotFound, HapistoreError: it cannot be done.
        """
        if action not in ACTIONS:
            raise UsageError(f"there is no action {action!r:.40}; there are {', '.join(ACTIONS)}")
        of: Callable[[Tenant, Mapping[str, Any]], dict[str, Any]] = getattr(self, f"_{action}")
        return of(tenant, body)

    def _head(self, tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
        name = _text(body, "name")
        self._visibility.check(tenant, name)
        info = self._store.head(name)
        return {"bytes": info.bytes, "modified": info.modified}

    def _list(self, tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
        prefix, after = _text(body, "prefix"), _text(body, "after")
        last = _Last()
        looked_at = itertools.islice(self._store.list(prefix, after=after), _LOOKED_AT)
        page = list(itertools.islice(self._visibility.filter(tenant, last.watch(looked_at)), _PAGE))
        # A page that is full may have passed over names that are not for this tenant behind its last one.
        after = page[-1].name if len(page) == _PAGE else last.name
        more = len(page) == _PAGE or last.count == _LOOKED_AT
        return {"objects": [[info.name, info.bytes, info.modified] for info in page], "after": after, "more": more}

    def _status(self, tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
        load = self._admission.snapshot()
        own = load.get(tenant.name)
        found: dict[str, Any] = {
            "tenant": tenant.name,
            "seconds": time.monotonic() - self._began,
            "draining": self._lanes.draining,
            "load": vars(own) if own else {},
        }
        if tenant.datasets is None:  # whoever is confined to datasets learns nothing of others' work
            report = self._worker.report()
            found |= {
                "lanes": self._lanes.waiting(),
                "counts": vars(self._lanes.counts),
                "tenants": {name: vars(one) for name, one in load.items()},
                "memory": {
                    "budget_bytes": report.budget_bytes, "base_bytes": report.base_bytes,
                    "planned_bytes": report.planned_bytes, "peak_bytes": report.peak_bytes,
                },
                "decoded": report.decoded,
                "most_running": report.most_running,
                "evicted": report.evicted,
            }  # fmt: skip
        return found

    def _plan(self, tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
        request = PlanRequest.parse(body, memory_bytes=self._worker.report().budget_bytes)
        self._visibility.check_dataset(tenant, request.dataset)
        return plan_action(self._store, request)

    def _cancel(self, tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"cancelled": self._lanes.cancel(tenant.name, _text(body, "dataset"), _text(body, "recipe"))}

    def _drain(self, tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
        if not tenant.may_drain:
            raise UsageError(f"tenant {tenant.name} may not end the service; `hapistore token --may-drain` allows it")
        self._begin_drain()
        return {"draining": True}


class _Last:
    """Which name came last in a listing, and how many came."""

    def __init__(self) -> None:
        self.name, self.count = "", 0

    def watch(self, infos: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        for info in infos:
            self.name, self.count = info.name, self.count + 1
            yield info


def _text(body: Mapping[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or len(value) > 400:
        raise UsageError(f"{field} is {value!r:.80}, expected text of at most 400 characters")
    return value
