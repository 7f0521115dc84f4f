"""What is wanted of the extraction worker: each shard once, one job at a time for each network, tenants in fair turns.

Jobs are small, some shards each, of all tenants that wait for their network: whoever comes next waits for a job and
not for a dataset. Between two jobs of a lane its network stays loaded while there is memory. Lanes share the machine by
the weights of those who wait in them.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import HapistoreError, TransientError, UsageError
from ..extraction import ExtractionWorker, JobReport, LoadsPrefix
from ..planning.fairness import FairState
from .lane_job import job_of, together
from .making import Making, Wish

_log = logging.getLogger(__name__)
_KEPT_BYTES = 256 << 20
"""Of streamed features that somebody may ask for again, whose link broke."""
_SUBMITTERS = 4


@dataclass
class Counts:
    """What the lanes have done since the service began."""

    asked: int = 0
    shared: int = 0
    jobs: int = 0
    shards: int = 0
    images: int = 0
    failed: int = 0


@dataclass
class _Lane:
    """Of one network: what waits, and what its job is making."""

    waiting: list[Making] = field(default_factory=list)
    job: str = ""
    making: list[Making] = field(default_factory=list)

    @property
    def askers(self) -> set[str]:
        """Names of the tenants who wait in it."""
        return {name for making in (*self.waiting, *self.making) for name in making.askers}


class Lanes:
    """Between requests and the worker. Thread-safe.

    Args:
        worker: one without reports that are kept; tells `progressed`. network: what a recipe's digest names.
        on_shard: called with each shard's making when it has come to an end; on_shared: when one is asked for that is
            being made for another.
    """

    def __init__(
        self,
        worker: ExtractionWorker,
        *,
        network: Callable[[str], LoadsPrefix],
        on_shard: Callable[[Making], None] = lambda making: None,
        on_shared: Callable[[], None] = lambda: None,
    ) -> None:
        self._worker, self._network = worker, network
        self._on_shard, self._on_shared = on_shard, on_shared
        self._lock = threading.Lock()
        self._fair = FairState()
        self._weights: dict[str, float] = {}
        self._lanes: dict[str, _Lane] = {}
        self._makings: dict[tuple[object, ...], Making] = {}
        self._streamed: list[Making] = []
        self._numbers = itertools.count(1)
        self._submitters = ThreadPoolExecutor(_SUBMITTERS, thread_name_prefix="hapistore-submit")
        self.draining = False
        self.counts = Counts()

    @contextmanager
    def asking(self, wish: Wish) -> Iterator[Making]:
        """What is being made of a wish, begun if it is not; given up at the end where nobody else waits for it.

        Raises:
            TransientError: the service is about to end.
        """
        making = self._ask(wish)
        try:
            yield making
        finally:
            self._leave(making, wish)

    def cancel(self, tenant: str, dataset: str, recipe: str) -> int:
        """Take back what a tenant alone waits for; how many shards that were."""
        with self._lock:
            gone = [
                making
                for making in self._makings.values()
                if set(making.askers) == {tenant} and not making.ended
                if making.wish.version.label == dataset and making.wish.plain.digest == recipe
            ]
            for making in gone:
                self._drop(making)
        for making in gone:
            making.fail(UsageError(f"{dataset}: it was cancelled"))
        return len(gone)

    def waiting(self) -> list[dict[str, Any]]:
        """What is wanted, for people and machines: a line for each lane."""
        with self._lock:
            return [
                {"recipe": recipe, "waiting": len(lane.waiting), "making": len(lane.making), "job": lane.job}
                for recipe, lane in self._lanes.items()
                if lane.waiting or lane.making
            ]

    @property
    def idle(self) -> bool:
        """Whether nothing is wanted."""
        with self._lock:
            return not any(lane.waiting or lane.making for lane in self._lanes.values())

    def close(self) -> None:
        """Give up all that is wanted."""
        self.draining = True
        with self._lock:
            makings = list(self._makings.values())
            for lane in self._lanes.values():
                lane.waiting = []  # so that the end of a job begins no other
        for making in makings:
            making.fail(_ending())
        self._submitters.shutdown(wait=True, cancel_futures=True)

    def progressed(self, report: JobReport) -> None:
        """For the worker's ``on_progress``: whether a job has ended, and how."""
        if not report.ended:
            return
        with self._lock:
            recipe = next((recipe for recipe, lane in self._lanes.items() if lane.job == report.name), None)
            if recipe is None:
                return
            lane = self._lanes[recipe]
            made, lane.making, lane.job = lane.making, [], ""
        # One that was stopped was nobody's any more, or somebody's who came at the last moment.
        error = HapistoreError(report.reason) if report.reason else _again("the extraction was stopped")
        self._end(made, error, report.images)
        with self._lock:
            self._go_on(recipe)

    def _ask(self, wish: Wish) -> Making:
        if self.draining:
            raise _ending()
        with self._lock:
            self.counts.asked += 1
            self._weights[wish.tenant.name] = wish.tenant.weight
            making = self._makings.get(wish.key)
            if making is not None and making.ended and (making.wish.keep or making.failed):
                making = None  # it is gone from the store since, or it may go well this time
            if making is not None:
                self.counts.shared += 1
                self._on_shared()
            else:
                making = self._begin(wish)
            making.askers[wish.tenant.name] = making.askers.get(wish.tenant.name, 0) + 1
            self._go_on(wish.plain.digest)
            return making

    def _begin(self, wish: Wish) -> Making:
        cost = float(wish.shard.rows)
        self._fair, tag = self._fair.arrive(wish.tenant.name, weight=wish.tenant.weight, cost=cost)
        making = self._makings[wish.key] = Making(wish, tag)
        self._lanes.setdefault(wish.plain.digest, _Lane()).waiting.append(making)
        return making

    def _leave(self, making: Making, wish: Wish) -> None:
        with self._lock:
            making.askers[wish.tenant.name] -= 1
            if not making.askers[wish.tenant.name]:
                del making.askers[wish.tenant.name]
            if making.askers or self._makings.get(wish.key) is not making:
                return
            if not making.ended:
                self._drop(making)
            elif making.wish.keep or making.failed:
                del self._makings[wish.key]
            else:
                self._keep_streamed(making)

    def _drop(self, making: Making) -> None:
        """Nobody wants it: it is not begun, and one that is not stored is not gone on with."""
        lane = self._lanes[making.wish.plain.digest]
        if making in lane.waiting:
            lane.waiting.remove(making)
            del self._makings[making.wish.key]
        elif (
            not making.wish.keep and lane.job and not any(other.askers for other in lane.making if other is not making)
        ):
            self._submitters.submit(self._stop, lane.job)

    def _stop(self, job: str) -> None:
        try:
            self._worker.cancel(job)
        except UsageError:
            _log.debug("%s had ended before it was cancelled", job)

    def _keep_streamed(self, making: Making) -> None:
        """For whoever asks again since the link broke; the oldest go where it is too much."""
        if making not in self._streamed:
            self._streamed.append(making)
        while sum(one.wish.held_bytes for one in self._streamed) > _KEPT_BYTES:
            oldest = self._streamed.pop(0)
            if self._makings.get(oldest.wish.key) is oldest and not oldest.askers:
                del self._makings[oldest.wish.key]

    def _go_on(self, recipe: str) -> None:
        """Begin a lane's next job, while locked."""
        lane = self._lanes[recipe]
        if lane.job or not lane.waiting:
            return
        weight = self._weight(lane)
        lane.waiting.sort(key=lambda making: making.tag)
        lane.making = together(lane.waiting)
        lane.waiting = [making for making in lane.waiting if making not in lane.making]
        self._fair = self._fair.admit(lane.making[0].tag)
        lane.job = f"service-{next(self._numbers)}"
        self.counts.jobs += 1
        self._submitters.submit(self._submit, lane.job, recipe, list(lane.making), weight)

    def _weight(self, lane: _Lane) -> float:
        """Of all its tenants; who waits in more lanes has a part of its weight in each."""
        lanes = [other.askers for other in self._lanes.values()]
        return sum(self._weights[name] / sum(name in askers for askers in lanes) for name in lane.askers)

    def _submit(self, name: str, recipe: str, makings: Sequence[Making], weight: float) -> None:
        try:
            self._worker.submit([job_of(name, makings, network=self._network(recipe), weight=weight)])
        except HapistoreError as error:
            self._refused(recipe, makings, error)
        except BaseException as error:
            _log.exception("job %s could not be submitted", name)
            self._refused(recipe, makings, HapistoreError(f"the service failed: {type(error).__name__}; see its log"))

    def _refused(self, recipe: str, makings: Sequence[Making], error: HapistoreError) -> None:
        with self._lock:
            lane = self._lanes[recipe]
            lane.making, lane.job = [], ""
        self._end(makings, error, 0)
        with self._lock:
            self._go_on(recipe)

    def _end(self, makings: Sequence[Making], error: HapistoreError, images: int) -> None:
        """What a job was to make has come, or never will."""
        for making in makings:
            making.fail(error)
            self._on_shard(making)
        with self._lock:
            self.counts.images += images
            for making in makings:
                self.counts.failed += making.failed
                self.counts.shards += not making.failed
                key = making.wish.key
                if self._makings.get(key) is making and not making.askers:
                    if making.wish.keep or making.failed:
                        del self._makings[key]
                    else:
                        self._keep_streamed(making)


def _ending() -> TransientError:
    return _again("the service is about to end")


def _again(cause: str) -> TransientError:
    return TransientError(cause, "try again in a moment", throttled=True, retry_after_s=1.0)
