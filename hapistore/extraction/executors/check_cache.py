"""What comparing executors with eager float32 found, kept for the next time on this machine."""

from __future__ import annotations

import logging
from typing import Any

from ...models import Prefix
from ..user_cache import CacheFile
from .agreement import Agreement
from .identity import identity_of
from .machine import machine

_FORMAT = 1
_log = logging.getLogger(__name__)


class CheckCache:
    """The file for one prefix, its weights included, in one precision on this machine with what is installed."""

    def __init__(self, prefix: Prefix, precision: str) -> None:
        key = {"format": _FORMAT, **identity_of(prefix), "precision": precision, **machine()}
        self._file = CacheFile("agreements", key)

    def load(self) -> dict[str, Agreement]:
        """What is known, by candidate; nothing, with a line in the log, where the file is damaged."""
        try:
            return self._parse(self._file.read() or {})
        # Anything may stand in a file that something else has written.
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            where = self._file.path
            _log.warning("%s is damaged and is checked again: %s: %s", where, type(error).__name__, error)
            return {}

    def save(self, label: str, agreement: Agreement) -> None:
        """Keep one more."""
        known = {**self.load(), label: agreement}
        self._file.write({one: vars(found) for one, found in known.items()})

    @staticmethod
    def _parse(value: Any) -> dict[str, Agreement]:
        return {
            str(label): Agreement(of_largest=float(found["of_largest"]), cosine=float(found["cosine"]))
            for label, found in value.items()
        }
