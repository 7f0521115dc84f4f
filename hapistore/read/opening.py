"""How a reader's shards are kept open: in how much memory, and through which cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cache import ShardCache
from ..catalog import View
from .caching import CachedShards
from .options import ReadOptions
from .shards import OpenShards, row_bytes
from .stats import ReadStats

# Of an epoch that comes to one shard after the other, so many are open and being opened at least.
_LEAST_SHARDS = 8


def open_shards(views: Sequence[View], options: ReadOptions, *, passing: bool, stats: ReadStats) -> OpenShards:
    """Shards of views of the same rows, a recipe each; see `OpenShards`.

    Raises:
        UsageError: the cache's folder is no cache, or somebody else's.
    """
    if options.cache is None:
        return OpenShards(*views, memory_bytes=options.memory_bytes, stats=stats, passing=passing)
    sizes = np.array([shard.rows for shard in views[0].version.shards]) * row_bytes(views[0]) * len(views)
    all_bytes, memory_bytes = int(sizes.sum()), options.memory_bytes
    if passing:
        # What is open is leased, and cannot make way for others: a window, and half of this ahead of it.
        memory_bytes = min(memory_bytes, 3 * max(options.window_shards, _LEAST_SHARDS) * int(sizes.max()))
    cache = ShardCache(options.cache, capacity_bytes=options.cache_bytes, group=options.cache_group)
    cached = CachedShards(cache, decoded_bytes=all_bytes)
    wanted = min(memory_bytes, all_bytes) if passing else all_bytes
    cached.warn_of(wanted if cached.decoded else int(wanted * _stored_share(views[0])))
    return OpenShards(*views, memory_bytes=memory_bytes, stats=stats, passing=passing, cached=cached)


def _stored_share(view: View) -> float:
    """How much of a shard's size when it is open its object takes; of the first, for all."""
    stored = view.store.head(view.feature_names()[0]).bytes
    return stored / (view.version.shards[0].rows * row_bytes(view))
