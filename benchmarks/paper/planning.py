"""Where each system cuts: by what both tiers measure, once a network, and the cost model for every link."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hapistore.planning import Resources, plan_split, profile_from_json
from hapistore.service.client import connect
from hapistore.service.plans.client_plan import PlanOptions, plan

from ..torchvision_shim import import_torchvision
from .networks import NETWORKS

SAMPLE, HAPI_BATCH = 8, 1000


@lru_cache(maxsize=1)
def _asked(service: str, network: str, dataset: str, batch_size: int) -> dict[str, Any]:
    """What a client asks of the service once it has measured its own tier: it may be asked again for other links."""
    import_torchvision()
    net = NETWORKS[network]
    requests: list[dict[str, Any]] = []
    with connect(service) as client:

        def call(action: str, request: dict[str, Any]) -> dict[str, Any]:
            requests.append(request)
            return client.connection.act(action, request)

        options = PlanOptions(
            freeze_until=net.freeze_until, freeze_all=net.freeze_until is None, link="1Gbit/s", sample=SAMPLE,
            batch_size=batch_size, cache_bytes=0,
        )  # fmt: skip
        plan(call, dataset, net.backbone, options, store=client)
    return requests[-1]


def planned(
    service: str, network: str, dataset: str, batch_size: int, of_training: Mapping[str, Any]
) -> dict[str, Any]:
    """A plan, as data; in the process of the compute tier.

    Args:
        of_training: ``link`` in bytes a second, ``epochs``, ``augmented``.
    """
    request = {**_asked(service, network, dataset, batch_size), **of_training}
    with connect(service) as client:
        return dict(client.connection.act("plan", request))


def hapi_cut(service: str, network: str, dataset: str, batch_size: int, link_bytes_per_s: float) -> int:
    """Where HAPI's rule cuts, by float32 and the paper's training batch; in the process of the compute tier."""
    profile = profile_from_json(_asked(service, network, dataset, batch_size)["profile"])
    resources = Resources(link_bytes_per_s=link_bytes_per_s, batch_size=HAPI_BATCH)
    return plan_split(profile, resources, "hapi").chosen.cut.index
