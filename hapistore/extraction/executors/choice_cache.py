"""What measuring executors found, kept for the next extraction on this machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...models import Prefix
from ..user_cache import CacheFile
from .machine import machine

_FORMAT = 2
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class KnownChoice:
    """One file of the cache.

    Attributes:
        label: of the fastest candidate; rates: images per second by candidate; passed_over: why others were not run.
    """

    label: str
    rates: dict[str, float]
    passed_over: dict[str, str] = field(default_factory=dict)


class ChoiceCache:
    """The file for one prefix in one precision, among these candidates, on this machine with what is installed.

    Weights are not part of what it is found by, since they decide no rate; what checks find is kept apart.
    """

    def __init__(self, prefix: Prefix, precision: str, candidates: Sequence[str]) -> None:
        self._labels = tuple(candidates)
        key: dict[str, Any] = {
            "format": _FORMAT,
            "architecture": prefix.architecture,
            "cut": prefix.cut,
            "program": prefix.program,
            "pixels": list(prefix.pixel_shape),
            "shape": list(prefix.feature_shape),
            "precision": precision,
            "device": "cpu",
            "candidates": list(candidates),
            **machine(),
        }
        self._file = CacheFile("executors", key)

    @property
    def path(self) -> Path | None:
        """Where it is kept; None where there can be no cache."""
        return self._file.path

    def load(self) -> KnownChoice | None:
        """What is known; None where nothing is, or, with a line in the log, where the file is damaged."""
        try:
            found = self._file.read()
            return None if found is None else self._parse(found)
        # Anything may stand in a file that something else has written.
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            _log.warning("%s is damaged and is measured again: %s: %s", self.path, type(error).__name__, error)
            return None

    def save(self, choice: KnownChoice) -> None:
        """Keep a choice."""
        self._file.write(
            {
                "choice": choice.label,
                "images_per_second": {label: round(rate, 1) for label, rate in choice.rates.items()},
                "passed_over": choice.passed_over,
            }
        )

    def _parse(self, value: Any) -> KnownChoice:
        rates = {str(label): float(rate) for label, rate in value["images_per_second"].items()}
        label = value["choice"]
        if label not in rates or label not in self._labels:
            raise ValueError(f"its choice {label!r:.40} is none of its candidates")
        return KnownChoice(
            label=label,
            rates=rates,
            passed_over={str(label): str(reason) for label, reason in value["passed_over"].items()},
        )
