"""What earlier runs measured of a prefix, kept for the next: memory and throughput by extraction batch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..planning import MemoryModel, ThroughputCurve
from .user_cache import CacheFile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProfileKey:
    """What a profile holds for: another of any of these is measured anew.

    Attributes:
        program: digest of the prefix and its preprocessing, the recipe's for one.
        precision, executor, device: as in a feature shard's provenance.
        versions: of the libraries that run it.
    """

    program: str
    precision: str
    executor: str
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> CacheFile:
        """Where it is kept."""
        return CacheFile("extraction", self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain data; equal for equal keys."""
        return {**asdict(self), "versions": dict(self.versions)}


@dataclass(frozen=True, kw_only=True)
class ExtractionProfile:
    """Memory over what the executor occupies when idle, and throughput."""

    model: MemoryModel
    curve: ThroughputCurve


def load_profile(key: ProfileKey) -> ExtractionProfile | None:
    """What was kept under a key; None where there is nothing usable."""
    file = key.file
    try:
        value = file.read()
        if value is None:
            return None
        model, curve = MemoryModel.from_json(value["model"]), ThroughputCurve.from_json(value["curve"])
        return ExtractionProfile(model=model, curve=curve)
    # Anything may stand in a file that something else has written.
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        _log.warning("%s is damaged and is measured again: %s: %s", file.path, type(error).__name__, error)
        return None


def save_profile(key: ProfileKey, profile: ExtractionProfile) -> None:
    """Keep a profile."""
    key.file.write({"model": profile.model.to_json(), "curve": profile.curve.to_json()})
