"""How many times as fast as BASELINE, from what was measured over one link."""

from __future__ import annotations

from typing import Any

EPOCHS = 20
"""Of a training, as users have it; the paper's have one."""
ALL_SYSTEMS_MBIT_S = 1000
"""The link over which all systems are compared, as in most of the paper's figures; else BASELINE and hapistore."""

OURS = ("stored", "together")
"""hapistore's own systems over many epochs: the storage tier alone extracts, or both tiers do."""


def one_epoch_times(found: dict[str, Any]) -> float:
    """How many times as fast as BASELINE hapistore was over one epoch, with the cut that is planned for one."""
    ours = found.get("once", found["stored"])["first_s"]["median"]
    return float(found["baseline"]["first_s"]["median"] / ours)


def many_epochs_times(found: dict[str, Any]) -> float:
    """The same over twenty."""
    stored = found["stored"]
    ours = stored["first_s"]["median"] + (EPOCHS - 1) * stored["later_s"]["median"]
    return float(EPOCHS * found["baseline"]["first_s"]["median"] / ours)
