"""What was measured, unit by unit: a run that was stopped goes on behind the last one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ..environment import RESULTS, read_result, write_result


class Ledger:
    """The results of one experiment, ``results/paper_NAME.json``.

    Args:
        settings: under which it is measured. Units that were measured under others are measured anew.
        fresh: measure all anew.
    """

    def __init__(self, name: str, settings: dict[str, Any], *, fresh: bool) -> None:
        self._name, self._settings = f"paper_{name}", settings
        known = read_result(self._name) if (RESULTS / f"{self._name}.json").exists() else {}
        same = known.get("settings") == settings and not fresh
        self._units: dict[str, Any] = known["units"] if same else {}

    def measure(self, unit: str, run: Callable[[], dict[str, Any]]) -> None:
        """Measure a unit that is not there yet, and write it down."""
        if unit in self._units:
            print(f"{self._name}: {unit} is there", flush=True)
            return
        began = datetime.now(timezone.utc)
        print(f"{self._name}: {unit} …", flush=True)
        found = run()
        ended = datetime.now(timezone.utc)
        took = {"measured": ended.isoformat(timespec="seconds"), "took_s": round((ended - began).total_seconds(), 1)}
        self._units[unit] = {**found, **took}
        result = {"settings": self._settings, "units": self._units}
        write_result(self._name, result, packages=["torchvision", "obstore"])

    def has(self, unit: str) -> bool:
        """Whether it was measured."""
        return unit in self._units
