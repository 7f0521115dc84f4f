"""What earlier runs measured of a prefix, kept for the next: memory and throughput by extraction batch.

One small JSON file each, below ``$XDG_CACHE_HOME/hapistore/extraction``. It is a cache: a file that is damaged, cut
short, not to be read or made by somebody hostile is one that is not there, and is written again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..appearing import appearing
from ..planning import MemoryModel, ThroughputCurve

_LARGEST_FILE = 1 << 16
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
    def path(self) -> Path:
        """The file it is kept in."""
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        digest = hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()
        return root / "hapistore" / "extraction" / f"{digest}.json"

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
    try:
        with open(key.path, "rb") as file:
            value = json.loads(file.read(_LARGEST_FILE))
        if value["key"] != key.to_json():
            raise ValueError("it is of another key")
        model, curve = MemoryModel.from_json(value["model"]), ThroughputCurve.from_json(value["curve"])
        return ExtractionProfile(model=model, curve=curve)
    except FileNotFoundError:
        return None
    # Whatever is wrong with a cache's file, measuring anew is right.
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        _log.info("%s is not used, what it held is measured anew: %s", key.path, error)
        return None


def save_profile(key: ProfileKey, profile: ExtractionProfile) -> None:
    """Keep a profile, as a whole file or none. Where it cannot be written that is logged, and nothing else happens."""
    value = {"key": key.to_json(), "model": profile.model.to_json(), "curve": profile.curve.to_json()}
    try:
        key.path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(key.path, replace=True) as temporary:
            temporary.write_text(json.dumps(value))
    except OSError as error:
        _log.warning("%s is not kept, the next run measures anew: %s", key.path, error)
