"""One job of a worker while it runs: the worker's executor and pixels as the engine of an extraction."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, Protocol

import numpy as np

from hapistore_format import ShardRef

from ...errors import HapistoreError
from .. import memory
from ..bad_images import BadImage
from ..batching import FAILURES_TO_GIVE_UP, all_fail
from ..executors import ExecutorChoice
from ..forwarding import versions_of_libraries
from ..grouping import Part
from ..halving import Failure, HalvingRunner
from ..pixels import ShardPixels
from ..sink import ShardSink
from ..trace import Trace
from .jobs import CheckedJob
from .loading import Loaded
from .shared_pixels import PixelHub

# So many batches in a row that are killed, though the kernel has killed nothing: some other guard of memory did.
_KILLS_TO_BELIEVE = 3


class Paused(Exception):
    """The job is to give way until it is started again; not an error."""


class Stopped(Exception):
    """The worker is to end; not an error."""


class JobMaster(Protocol):
    """What a running job asks of its worker."""

    @property
    def hub(self) -> PixelHub:
        """Where pixels come from."""

    def check(self) -> None:
        """Raises Paused or Stopped where the job is not to go on."""

    def batch(self) -> int:
        """What the job is allowed now."""

    def load(self, shard: ShardRef) -> Loaded:
        """Its prefix, in memory that it holds."""

    @property
    def sink(self) -> ShardSink:
        """Who is told of features."""

    def turn(self, rows: int) -> AbstractContextManager[None]:
        """Its turn to run so many images, within the memory that it holds."""

    def passed(self, rows: int, seconds: float) -> None:
        """So many images passed."""

    def out_of_memory(self, rows: int) -> None:
        """So many did not fit."""


class SharedEngine:
    """An `Engine` over a worker's executor and pixels, and the `BatchSizes` of its forward passes."""

    def __init__(self, checked: CheckedJob, master: JobMaster) -> None:
        self._checked, self._master = checked, master
        self._loaded: Loaded | None = None
        self._kills_before: int | None = None
        self._unexplained = self._failed_alone = 0
        self._passed = False
        self.largest = 0

    def most_at_once(self, rows: int) -> int:
        return 1  # a job has one recipe

    def arrange(self, groups: Sequence[Sequence[Part]]) -> Sequence[Sequence[Part]]:
        """From where others are on, who want the same pixels."""
        shards = [group[0].task.shard for group in groups]
        recipe = self._checked.recipe
        self._load(shards[0])  # which takes a while; only then is known where they are
        first = self._master.hub.place_to_begin(shards, self._checked.preprocess, recipe.augmentation)
        return [*groups[first:], *groups[:first]]

    def open(self, wanted: Sequence[ShardPixels], trace: Trace) -> SharedForward:
        shards = [pixels.shard for pixels in wanted]
        return SharedForward(self._checked, self._master, self._load(shards[0]), shards, trace, self)

    @property
    def batch(self) -> int:
        return self._master.batch()

    @contextmanager
    def turn(self, rows: int) -> Iterator[None]:
        with self._master.turn(rows):
            self._kills_before = memory.kills()
            yield

    def passed(self, rows: int, seconds: float) -> None:
        self._passed, self._unexplained = True, 0
        self.largest = max(self.largest, rows)
        self._master.passed(rows, seconds)

    def halved(self, rows: int, failure: Failure) -> None:
        if self._ran_out(failure):
            self._master.out_of_memory(rows)

    def failed_alone(self, failure: Failure) -> None:
        if failure.kind == "memory" or (failure.killed and self._kernel_killed()):
            self._master.out_of_memory(1)
            raise Paused
        self._failed_alone += 1
        if not self._passed and self._failed_alone >= FAILURES_TO_GIVE_UP:
            assert self._loaded is not None
            raise all_fail(self._loaded.executor.name, self._failed_alone, failure)

    def _load(self, shard: ShardRef) -> Loaded:
        if self._loaded is None:
            self._loaded = self._master.load(shard)
        return self._loaded

    def _ran_out(self, failure: Failure) -> bool:
        """Whether a batch failed for want of memory: SIGKILL says so only where the kernel has counted it."""
        if failure.kind != "memory" or not failure.killed or self._kernel_killed():
            return failure.kind == "memory"
        self._unexplained += 1
        return self._unexplained >= _KILLS_TO_BELIEVE

    def _kernel_killed(self) -> bool:
        """Whether it may have: something was killed since the batch began, or nobody counts."""
        return self._kills_before is None or memory.kills() != self._kills_before


class SharedForward:
    """As `Forward`, over pixels that others may want too."""

    def __init__(
        self,
        checked: CheckedJob,
        master: JobMaster,
        loaded: Loaded,
        shards: Sequence[ShardRef],
        trace: Trace,
        sizes: SharedEngine,
    ) -> None:
        self._checked, self._master, self._loaded, self._sizes, self._trace = checked, master, loaded, sizes, trace
        self._shards = iter(shards)
        self._restarts_before = loaded.executor.restarts
        self._runner = HalvingRunner(loaded.executor, sizes, trace)
        self.choice: ExecutorChoice = loaded.choice
        self.provenance: dict[str, Any] = {**loaded.choice.provenance, "versions": versions_of_libraries()}

    @property
    def batch(self) -> int:
        return self._sizes.largest

    @property
    def peak_bytes(self) -> int:
        return self._loaded.executor.child_peak_bytes

    @property
    def restarts(self) -> int:
        return self._loaded.executor.restarts - self._restarts_before

    def next_shard(
        self, rows: int, out: Sequence[np.ndarray], on_rows: Callable[[int], None]
    ) -> list[dict[int, BadImage]]:
        """As of `Forward`, of one variant; rows come in any order, and the sink is told of them."""
        (room,) = out
        shard = next(self._shards)
        if shard.rows != rows:
            raise HapistoreError(f"image shard {shard.images[:12]} has {shard.rows} rows, expected {rows}")
        sink = self._master.sink
        sink.begin(shard)
        order: list[int] = []
        with closing(self._in_order(shard, order)) as pixels:
            for numbers, batch in self._runner.run(pixels):
                at = [order[number] for number in numbers]
                room[at] = batch
                sink.rows(shard, at, batch)
                on_rows(len(batch))
        if self._runner.failed:
            on_rows(len(self._runner.failed))
        return [{order[number]: image for number, image in self._runner.failed.items()}]

    def _in_order(self, shard: ShardRef, order: list[int]) -> Generator[np.ndarray | BadImage, None, None]:
        """Pixels as they come, and which row's each is. Closed, nobody waits for it."""
        checked, master = self._checked, self._master
        rows = master.hub.rows(shard, checked.preprocess, self._trace, master.check, checked.recipe.augmentation)
        with closing(rows):
            for row, item in rows:
                order.append(row)
                yield item

    def close(self) -> None:
        """The executor stays the worker's."""
