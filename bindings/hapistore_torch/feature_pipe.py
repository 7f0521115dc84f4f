"""Features as an IterDataPipe of ready training batches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed
from torch.utils.data import IterDataPipe, get_worker_info

from hapistore import FeatureReader, ReadOptions, View


class FeaturePipe(IterDataPipe):
    """Yields ``(features, labels)`` training batches of a view; ``features`` alone where ``label=None``.

    Shuffled by seed and epoch, and sharded over loader workers and ranks at the source: each batch goes to
    exactly one of them, and with any number of loader workers a rank sees the same batches in the same
    order. Use it in a plain ``for``, or as ``DataLoader(pipe, batch_size=None, num_workers=2)``.

    In a plain ``for`` every pass is the next epoch. Under a DataLoader the epoch's order follows the seed
    that the loader draws for it (``torch.manual_seed`` makes that reproducible); ``set_epoch`` overrides both.

    Args:
        view: from ``hapistore.open_view``.
        subset, label, batch_size, shuffle, seed, drop_last, memory_bytes, augment: see ``hapistore.ReadOptions``.

    Yields:
        features: float32 [n, *view.shape]; labels: int64 [n] for classes and integers, float32 [n] for reals.

    Raises:
        UsageError: the subset is empty, or the label column is missing or incomplete.
    """

    def __init__(
        self,
        view: View,
        *,
        subset: str | None = None,
        label: str | None = "label",
        batch_size: int = 256,
        shuffle: str | bool = "global",
        seed: int = 0,
        drop_last: bool = False,
        memory_bytes: int = 2 << 30,
        augment: bool | None = None,
    ) -> None:
        self._view = view
        self._options = ReadOptions(
            subset=subset,
            label=label,
            batch_size=batch_size,
            shuffle=_shuffle_mode(shuffle),
            seed=seed,
            drop_last=drop_last,
            memory_bytes=memory_bytes,
            augment=augment,
        )
        self._reader: FeatureReader | None = FeatureReader(view, self._options)
        self._next_epoch = 0
        self._fixed_epoch: int | None = None
        self._loader_seed: int | None = None
        self._loader_part: tuple[int, int] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by label, where labels are text."""
        return self._open().classes

    @property
    def rows(self) -> int:
        """Rows of an epoch, over all ranks and loader workers."""
        return self._open().rows

    def __iter__(self) -> Iterator[Any]:
        part, parts = self._part()
        for batch in self._open().epoch(self._take_epoch(), part=part, parts=parts):
            features = torch.from_numpy(batch.features)
            yield features if batch.targets is None else (features, torch.from_numpy(batch.targets))

    def __len__(self) -> int:
        """Training batches of an epoch on this rank, over all its loader workers."""
        return self._open().num_batches(*_rank())

    def set_epoch(self, epoch: int) -> None:
        """Read this epoch from now on, whatever the loader's seed, until it is set again."""
        self._fixed_epoch = epoch

    def sharding_filter(self, sharding_group_filter: Any = None) -> FeaturePipe:
        """The pipe itself: it shards at the source already."""
        return self

    def apply_sharding(self, num_of_instances: int, instance_id: int, sharding_group: Any = None) -> None:
        """Called by DataLoader in each worker, with workers and ranks multiplied out."""
        self._loader_part = (instance_id, num_of_instances)

    def set_shuffle(self, shuffle: bool) -> None:
        """Called by DataLoader where ``shuffle=`` is given."""
        self._replace(shuffle=_shuffle_mode(shuffle))

    def set_seed(self, seed: int) -> None:
        """Called by DataLoader before every epoch, with the same number on all ranks and workers."""
        self._loader_seed = seed

    def _replace(self, **changes: Any) -> None:
        options = ReadOptions(**{**vars(self._options), **changes})
        if options != self._options:
            self._options, self._reader = options, None

    def _open(self) -> FeatureReader:
        if self._reader is None:
            self._reader = FeatureReader(self._view, self._options)
        return self._reader

    def _take_epoch(self) -> int:
        if self._fixed_epoch is not None:
            return self._fixed_epoch
        if self._loader_seed is not None:
            # Used once: a plain pass over the pipe afterwards is an epoch of its own again.
            seed, self._loader_seed = self._loader_seed, None
            return seed
        self._next_epoch += 1
        return self._next_epoch - 1

    def _part(self) -> tuple[int, int]:
        """Which of how many parts this process reads: (part, parts)."""
        rank, ranks = _rank()
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        # A wrapper may hide the pipe from DataLoader, which then shards nothing.
        instance, instances = self._loader_part or (worker.id if worker else 0, workers)
        if instances > workers:  # DataLoader has multiplied the ranks in; it does where torch.distributed runs
            return instance, instances
        return instance * ranks + rank, instances * ranks

    def __getstate__(self) -> dict[str, Any]:
        # Workers and graph traversal get the recipe for a reader, not its open shards.
        return {**self.__dict__, "_reader": None}


def _shuffle_mode(shuffle: str | bool) -> str:
    if isinstance(shuffle, bool):
        return "global" if shuffle else "none"
    return shuffle


def _rank() -> tuple[int, int]:
    """Rank and number of ranks, from torch.distributed or the environment that torchrun sets."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
