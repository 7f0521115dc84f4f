"""What was measured of each network on each store: all systems, and BASELINE and stored features over more links."""

from __future__ import annotations

from typing import Any

from ..environment import read_result

STORE = "seaweedfs"
"""The store of all experiments."""


def networks() -> dict[str, dict[str, Any]]:
    """Units of the experiment `models` by ``NETWORK STORE``, with the links of the experiment `links` beside theirs.

    Attributes of a unit: ``images`` of an epoch; by link ``links``, with figures by system, and ``chosen``, with cuts
    by their use; ``plans``, where cuts were planned.
    """
    units = dict(read_result("paper_models")["units"])
    for unit, found in read_result("paper_links")["units"].items():
        name = f"{unit.split()[0]} {STORE}"
        known = units.get(name, found)
        units[name] = {**known, **{about: {**found[about], **known[about]} for about in ("links", "chosen")}}
    return dict(sorted(units.items()))
