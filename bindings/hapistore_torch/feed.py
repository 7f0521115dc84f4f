"""What all datasets here are thin over: one reader, opened in whatever process uses it, and where it stands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.distributed
from torch.utils.data import get_worker_info

Part = tuple[int, int]


class Feed:
    """Training batches for this rank and loader worker, epoch after epoch.

    It pickles as what its reader is made of, so a loader worker that is spawned opens its own; one that is forked has
    what was open before.

    Args:
        open_reader: makes a ``FeatureReader`` or an ``ImageReader``; pickles.
    """

    def __init__(self, open_reader: Callable[[], Any]) -> None:
        self._open_reader = open_reader
        self._reader: Any = open_reader()
        self._progress = self._reader.progress()
        # Shared with loader workers, those too that persist from epoch to epoch. Below 0: none is set.
        self._set_epoch = torch.tensor(-1).share_memory_()
        self._rank: Part | None = None

    @property
    def reader(self) -> Any:
        """This process's own."""
        if self._reader is None:
            self._reader = self._open_reader()
        return self._reader

    def batches(self, *, epoch: int | None = None, part: Part | None = None) -> Iterator[Any]:
        """What is left of an epoch: the one that was set, else ``epoch``, else the next.

        Args:
            part: this loader worker's number, and how many there are; None: as torch says.
        """
        rank, ranks = self.rank()
        worker, workers = part or worker_of_process()
        number, start, skip = self._progress.begin(epoch if self._fixed is None else self._fixed)
        batches = self.reader.epoch(
            number, rank=rank, ranks=ranks, worker=worker, workers=workers, start=start, skip=skip
        )
        for batch in batches:
            # Before it is handed out: whoever asks then has it.
            if workers == 1:
                self._progress.read(batch.position)
            else:
                self._progress.read_apart()
            yield batch
        if workers == 1:
            self._progress.read(self.reader.rows)

    @property
    def _fixed(self) -> int | None:
        epoch = int(self._set_epoch)
        return None if epoch < 0 else epoch

    def rank(self) -> Part:
        """This rank's number, and how many there are; in a loader worker that was spawned, those of its parent."""
        # Only there: a pipe that was copied before torch.distributed began is no worker's.
        return (self._rank if get_worker_info() else None) or rank_of_process()

    def set_epoch(self, epoch: int) -> None:
        """Read this epoch from now on, until it is set again."""
        self._set_epoch.fill_(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as plain data."""
        return self._progress.state_dict(self._fixed)

    def state_after(self, steps: int, epoch: int) -> dict[str, Any]:
        """Where it stands after so many training batches of this rank in an epoch: good for any number of ranks."""
        progress = self.reader.progress()
        progress.begin(epoch)
        taken = self.reader.steps(self.rank()[1])
        progress.read(taken.position(steps - 1) if steps else 0)
        return progress.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._progress.load_state_dict(state)
        if self._fixed is not None:
            self.set_epoch(self._progress.epoch)

    def reopened(self, open_reader: Callable[[], Any]) -> Feed:
        """Another reader's, from its first epoch on, or in the epoch that was set here."""
        feed = Feed(open_reader)
        feed._set_epoch = self._set_epoch
        return feed

    def close(self) -> None:
        """End its threads; what is iterated later begins new ones."""
        if self._reader is not None:
            self._reader.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None, "_rank": self.rank()}


def rank_of_process() -> Part:
    """Rank and number of ranks, from torch.distributed or the environment that torchrun sets."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def worker_of_process() -> Part:
    """This loader worker's number, and how many there are."""
    worker = get_worker_info()
    return (worker.id, worker.num_workers) if worker else (0, 1)


class Fed:
    """What every dataset over a `Feed` has: where it stands, and which epoch it reads."""

    _feed: Feed

    def set_epoch(self, epoch: int) -> None:
        """Read this epoch from now on, whatever a loader's seed, until it is set again."""
        self._feed.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where a plain loop stands, or a StatefulDataLoader's worker; see ``state_after`` for other loaders' loops."""
        return self._feed.state_dict()

    def state_after(self, batches: int, *, epoch: int) -> dict[str, Any]:
        """Where a loop stands after so many training batches of an epoch on this rank: good for any number of ranks."""
        return self._feed.state_after(batches, epoch)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there with the next pass, with any number of ranks.

        Raises:
            UsageError: the state is of another view or order, or none.
        """
        self._feed.load_state_dict(state)

    def stats(self) -> Any:
        """What was read in this process, and what it took: see ``hapistore.ReadStats``."""
        return self._feed.reader.stats()

    def close(self) -> None:
        """End its threads; a later pass begins new ones."""
        self._feed.close()
