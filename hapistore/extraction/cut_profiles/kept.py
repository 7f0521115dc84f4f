"""Profiles of cuts that were measured before, kept for the next plan."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

from ...errors import UsageError
from ...images import Preprocess
from ...models import TracedNetwork
from ...planning import ModelProfile, profile_from_json, profile_to_json
from ..executors.machine import machine
from ..user_cache import CacheFile
from .measuring import ProfileOptions

_FORMAT = 1
_log = logging.getLogger(__name__)


class KeptProfile:
    """The file for one network over one dataset version, on this machine with what is installed.

    Args:
        dataset: digests of its image shards.
        name: what the network is called here: a profile holds for the same network under any name.
    """

    def __init__(
        self, network: TracedNetwork, dataset: str, preprocess: Preprocess, options: ProfileOptions, *, name: str
    ) -> None:
        key: dict[str, Any] = {
            "format": _FORMAT,
            "network": network.digest(),
            "freeze_index": network.freeze_index,
            "dataset": dataset,
            "preprocess": preprocess.to_json(),
            "batch_size": options.batch_size,
            "codecs": list(options.codecs),
            "precision": options.precision,
            "devices": [str(options.device), str(network.device)],
            "decode_threads": options.decode_threads,
            "machine": machine(),
        }
        self._at, self._name = options.at, name
        self._file = CacheFile("cuts", json.loads(json.dumps(key)))  # tuples as lists, as a key that is read has them

    def load(self) -> ModelProfile | None:
        """What is known; None where nothing is, not of the cut asked for, or, with a line in the log, damaged."""
        try:
            found = self._file.read()
            if found is None:
                return None
            profile = profile_from_json(found)
            profile = replace(profile, about={**profile.about, "model": self._name})
            known = {one for cut in profile.cuts for one in (cut.index, cut.name)}
            return profile if self._at is None or self._at in known else None
        # Anything may stand in a file that something else has written.
        except (OSError, ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
            _log.warning("%s is damaged and is measured again: %s: %s", self._file.path, type(error).__name__, error)
            return None

    def save(self, profile: ModelProfile) -> None:
        """Keep a profile. That it cannot be written is told to the log only."""
        self._file.write(profile_to_json(profile))
