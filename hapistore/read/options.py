"""What a reader reads, and in what order."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.compute as pc

from ..errors import UsageError
from .order import SHUFFLES
from .steps import LAST

KEPT_BYTES = 2 << 30
"""How much of decompressed shards a reader keeps, where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What is read, and in what order.

    The order of an epoch depends on what is selected, on how it is drawn, and on the seed; neither on the size of
    training batches nor on how many ranks and loader workers read them.

    Attributes:
        subset: ``train``, ``val``, ``test``, or None for all rows.
        where: of these only rows for which this is true, such as ``pyarrow.compute.field("width") > 300``.
        label: annotation column that becomes the target; None for features alone.
        columns: further annotation columns that come along.
        batch_size: rows of a training batch, on each rank.
        global_batch_size: rows of a training batch over all ranks; None: ``batch_size`` times ranks.
        last: what becomes of a last training batch that is short: ``keep`` it, shared among the ranks; ``drop`` it; or
            ``pad`` it with the epoch's first rows.
        shuffle: ``global``, uniform over all rows; ``window``, shards shuffled and rows within ``window_shards`` of
            them, where shards come over a slow link or do not fit in memory; ``shard``, one shard after the other, each
            shuffled; ``none``.
        seed: of the order and of the variants drawn; every seed and epoch gives others.
        balanced: draw all classes of the label equally often, the rows of each in turn.
        weights: annotation column by whose numbers rows are drawn, with replacement; no order but these then.
        take: rows of an epoch; None: as many as are selected. More than these only where rows are drawn.
        augment: whether a row has the features of one of the view's variants, drawn anew in each epoch, or those of
            the image as it is. None: drawn where the view has variants, but not of subsets ``val`` and ``test``.
        dequantise: False hands on values as they are stored, a quarter of the bytes and less, and which shard's
            parameters turn them into features: for whoever does that on an accelerator.
        memory_bytes: how much of decompressed shards is kept, in each process that reads.
        cache: a folder on this machine's disk where shards are kept for other epochs, processes and users; None: none.
        cache_bytes: what that folder may take on the disk, for all who use it; None: as it was set before, at first
            half of what is free. cache_group: name of the group that shares it, where it is somebody else's.
        threads: that make training batches; None: as many as there are cores, at most four, one in a loader worker.
        ahead_bytes: how much is made ahead of the caller, at least a training batch for each thread.
        audit: a folder for a record of every training batch, for ``hapistore audit``; None: none.
    """

    subset: str | None = None
    where: pc.Expression | None = None
    label: str | None = "label"
    columns: tuple[str, ...] = ()
    batch_size: int = 256
    global_batch_size: int | None = None
    last: str = "keep"
    shuffle: str = "global"
    window_shards: int = 16
    seed: int = 0
    balanced: bool = False
    weights: str | None = None
    take: int | None = None
    augment: bool | None = None
    dequantise: bool = True
    memory_bytes: int = KEPT_BYTES
    cache: str | None = None
    cache_bytes: int | None = None
    cache_group: str | None = None
    threads: int | None = None
    ahead_bytes: int = 64 << 20
    audit: str | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "global_batch_size", "window_shards", "take", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}, expected at least 1")
        for name, choices in (("shuffle", SHUFFLES), ("last", LAST)):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(choices)}")
        if self.balanced and (self.weights or self.label is None):
            raise UsageError("balanced draws the classes of a label equally often; give a label, and no weights")
        if (self.balanced or self.weights) and self.shuffle != "global":
            raise UsageError(f"shuffle is {self.shuffle!r}, and rows that are drawn have no other order than global")

    @property
    def drawn(self) -> bool:
        """Whether rows may come more than once in an epoch."""
        return self.balanced or self.weights is not None
