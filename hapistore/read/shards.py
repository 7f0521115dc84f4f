"""Opened feature shards, as many as a memory budget holds."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from hapistore_format import FeatureShardReader

from ..catalog import View
from ..catalog.reading import read_object
from ..errors import HapistoreError
from ..units import format_bytes

_log = logging.getLogger(__name__)
Opened = tuple[FeatureShardReader, np.ndarray]


class OpenShards:
    """Least recently used first out. A shard is checked and decompressed when it is opened.

    Args:
        views: of the same rows, in a recipe each.
    """

    def __init__(self, *views: View, memory_bytes: int) -> None:
        self._views = views
        self._names: Sequence[Sequence[str]] = [view.feature_names() for view in views]
        self._memory_bytes = memory_bytes
        self._open: OrderedDict[tuple[int, int], Opened] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._warned = False

    def get(self, number: int, which: int = 0) -> Opened:
        """Shard ``number`` of view ``which``: its reader, and all its rows as stored.

        Raises:
            NotFound, FormatError: it is gone, or not as it was written.
        """
        with self._lock:
            opened = self._open.get((number, which))
            if opened is None:
                opened = self._open[number, which] = self._read(number, which)
                self._bytes += opened[1].nbytes
                self._evict()
            self._open.move_to_end((number, which))
            return opened

    def _read(self, number: int, which: int) -> Opened:
        view, name = self._views[which], self._names[which][number]
        reader = read_object(view.store, name, FeatureShardReader)
        shard = view.version.shards[number]
        header = reader.header
        expected = (view.recipe.digest, view.codec, shard.images, shard.rows, view.shape)
        if (header.recipe, header.codec, header.images, header.rows, header.shape) != expected:
            raise HapistoreError(f"{name} holds features of something else than its name says; run `hapistore verify`")
        unknown = set(reader.missing) - set(view.missing.get(number, ()))
        if unknown:
            raise HapistoreError(
                f"{name} has no features in row {min(unknown).row}, which the view does not know; open the view again"
            )
        return reader, reader.stored()

    def _evict(self) -> None:
        while self._bytes > self._memory_bytes and len(self._open) > 1:
            _, (_, stored) = self._open.popitem(last=False)
            self._bytes -= stored.nbytes
            if not self._warned:
                self._warned = True
                _log.warning(
                    "%s does not fit in the reader's %s; shards are read again and again in a shuffled epoch. "
                    "Raise memory_bytes.", self._views[0], format_bytes(self._memory_bytes)
                )  # fmt: skip
