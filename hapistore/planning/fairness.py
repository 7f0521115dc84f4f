"""Whose turn it is: start-time fair queueing (Goyal, Vin, Cheng 1996), as state in, state out.

Each request gets a tag when it arrives: the virtual time, or where its tenant's previous request ends if that is
later. It ends its cost by its tenant's weight after its tag. Requests go in order of tags, and the virtual time is
the tag of the last that went in order. So tenants that always have requests waiting get shares that approach their
weights, whoever was idle gains nothing by it, and nobody starves:

    Ahead of a request of tag S that arrives at virtual time V go only requests of tags in [V, S]. A tenant of weight w
    whose requests cost at least c has its tags c/w apart, so at most 1 + floor((S - V) * w / c) of them, however
    many it submits later; and S - V is only what the request's own tenant has waiting, by its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, kw_only=True)
class FairState:
    """Virtual time, and where each tenant's last request ends in it (absent: it is not later)."""

    now: float = 0.0
    ends: Mapping[str, float] = field(default_factory=dict)

    def arrive(self, tenant: str, *, weight: float, cost: float) -> tuple[FairState, float]:
        """State after a request came, and its tag.

        Args:
            weight: above 0; cost: work it is, in any unit that all share, above 0.
        """
        tag = max(self.now, self.ends.get(tenant, 0.0))
        return replace(self, ends={**self.ends, tenant: tag + cost / weight}), tag

    def admit(self, tag: float) -> FairState:
        """State after the first in order went; tenants that ended before are forgotten."""
        now = max(self.now, tag)
        return replace(self, now=now, ends={tenant: end for tenant, end in self.ends.items() if end > now})
