"""What a worker is asked to extract, and the check that all of it can be done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from hapistore_format import Augmentation, DatasetVersion, Recipe, get_codec

from ...catalog import require_store, resolve_version
from ...catalog.codec_choice import AUTO, check_max_error
from ...catalog.features import list_tasks
from ...errors import HapistoreError, UsageError
from ...images import Preprocess
from ...models import AnyPrefix
from ...stores import ObjectStore
from .. import memory
from ..executors import EXECUTORS
from ..sink import ShardSink
from .networks import (
    Facts,
    KnownNetwork,
    LoadsPrefix,
    facts_as_told,
    facts_by_loading,
    load_prefix,
    short_name,
)

_Out = TypeVar("_Out")


@dataclass(frozen=True, kw_only=True)
class ExtractionJob:
    """One extraction among others.

    Attributes:
        dataset: ``pets``, ``pets@7``, or a version itself, which need not be one that the store has: its image shards
            are extracted in their order.
        network: what to run, anything that can be hashed and loads a prefix; a `Prefix` itself stays in memory all the
            time.
        codecs, max_error, precision, executor, device, max_batch, retry_bad: as in `extract` and `ExtractOptions`.
        tenant: whose it is; weight: the tenant's share of turns.
        memory_bytes: that its extraction batches may take, its network included; None: no bound of its own.
        name: unlike any other's; "": made up. where: said in errors about it, such as ``jobs.toml, line 3``.
        augmentation: the variant of every image; None: the images as they are.
        keep: False: everything is computed, whatever the store has, and only the sink gets it.
        sink: is told of features as they come.
        looked_for: whoever submits it has looked for its features and found none, so that is not done twice.
    """

    dataset: str | DatasetVersion
    network: LoadsPrefix | AnyPrefix
    codecs: tuple[str, ...] = ("u8c+zstd",)
    max_error: float | None = None
    precision: str = "f32"
    executor: str = "auto"
    device: str | None = None
    max_batch: int = 256
    retry_bad: bool = False
    tenant: str = "default"
    weight: float = 1.0
    memory_bytes: int | None = None
    name: str = ""
    where: str = ""
    augmentation: Augmentation | None = None
    keep: bool = True
    sink: ShardSink | None = field(default=None, compare=False, repr=False)
    looked_for: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckedJob:
    """A job that can be done, and what is known of it without its network in memory.

    Attributes:
        weights_bytes: size of its frozen weights; weights_name: where they come from, for people.
        to_run: image shards that want the network, as far as can be told; present: those that want nothing.
        most_rows, most_bytes: of its largest image shard.
    """

    job: ExtractionJob
    name: str
    version: DatasetVersion
    recipe: Recipe
    preprocess: Preprocess
    max_error: float
    weights_bytes: int
    weights_name: str
    to_run: int
    present: int

    @property
    def most_rows(self) -> int:
        return max((shard.rows for shard in self.version.shards), default=0)

    @property
    def max_batch(self) -> int:
        """The job's own bound, and that of a shard's rows: no extraction batch has images of two."""
        return max(1, min(self.job.max_batch, self.most_rows))

    @property
    def most_bytes(self) -> int:
        return max((shard.bytes for shard in self.version.shards), default=0)

    def load(self) -> AnyPrefix:
        """Its network."""
        return load_prefix(self.job.network)


class JobChecker:
    """Looks at jobs before any of them runs, from any thread; each network is loaded once, one at a time.

    Args:
        turn: held while a network is loaded to be looked at.
    """

    def __init__(self, store: ObjectStore, turn: threading.Lock | None = None) -> None:
        self._store, self._turn = store, turn or threading.Lock()
        self._facts: dict[tuple[LoadsPrefix | AnyPrefix, str], Facts] = {}
        self._names: set[str] = set()
        self._lock = threading.Lock()  # of the names

    def check(self, jobs: Sequence[ExtractionJob]) -> list[CheckedJob]:
        """All of them, or none.

        Raises:
            UsageError: there is no such store, dataset, image shard, codec, network or executor, or two jobs have one
                name.
        """
        require_store(self._store)
        names = self._take_names(jobs)
        try:
            # What takes no time first.
            bounds = [self._check_words(job) for job in jobs]
            versions = [self._version(job) for job in jobs]
            return [self._check_network(*about) for about in zip(jobs, names, versions, bounds, strict=True)]
        except BaseException:
            self.forget(names)  # a job that was turned down leaves its name to others
            raise

    def forget(self, names: Sequence[str]) -> None:
        """Jobs are no more; others may have their names."""
        with self._lock:
            self._names.difference_update(names)

    def _take_names(self, jobs: Sequence[ExtractionJob]) -> list[str]:
        with self._lock:
            taken, names = set(self._names), []
            for job in jobs:
                names.append(_free_name(job, taken))
                taken.add(names[-1])
            self._names = taken
        return names

    def _check_words(self, job: ExtractionJob) -> float:
        for codec in job.codecs:
            if codec != AUTO:
                _named(job, "codec", partial(get_codec, codec))
        if job.executor not in EXECUTORS:
            raise UsageError(f"{_where(job)}field executor: {job.executor!r} is none of {', '.join(EXECUTORS)}")
        if job.max_batch < 1 or not 0 < job.weight < float("inf"):
            raise UsageError(f"{_where(job)}fields max-batch, weight: at least 1, and above 0")
        return _named(job, "max-error", partial(check_max_error, job.codecs, job.max_error))

    def _version(self, job: ExtractionJob) -> DatasetVersion:
        if isinstance(job.dataset, DatasetVersion):
            return job.dataset
        return _named(job, "dataset", partial(resolve_version, self._store, job.dataset))

    def _check_network(self, job: ExtractionJob, name: str, version: DatasetVersion, max_error: float) -> CheckedJob:
        facts = self._look_at(job)
        recipe = replace(facts.recipe, augmentation=job.augmentation)
        if AUTO in job.codecs or not job.keep or job.looked_for:
            to_run, present = len(version.shards), 0
        else:
            tasks = list_tasks(self._store, version, recipe, job.codecs, retry_bad=job.retry_bad)
            to_run = sum(bool(task.missing) and not task.source for task in tasks)
            present = sum(not task.missing for task in tasks)
        return CheckedJob(
            job=job,
            name=name,
            version=version,
            recipe=recipe,
            preprocess=facts.preprocess,
            max_error=max_error,
            weights_bytes=facts.weights_bytes,
            weights_name=facts.weights_name,
            to_run=to_run,
            present=present,
        )

    def _look_at(self, job: ExtractionJob) -> Facts:
        network = job.network
        if isinstance(network, KnownNetwork):
            return _named(job, "backbone", partial(facts_as_told, network, job.precision))
        key = network, job.precision
        with self._turn:
            if key not in self._facts:
                self._facts[key] = _named(job, "backbone", partial(facts_by_loading, network, job.precision))
                memory.reset_peak()  # gives back what the network took
            return self._facts[key]


def _free_name(job: ExtractionJob, taken: set[str]) -> str:
    if job.name in taken:
        raise UsageError(f"{_where(job)}field name: {job.name!r} is another job's; give each its own, or none")
    number, name = 2, job.name or f"{_dataset(job)}:{short_name(job.network)}"
    made = name
    while made in taken:
        made, number = f"{name}#{number}", number + 1
    return made


def _named(job: ExtractionJob, field: str, look: Callable[[], _Out]) -> _Out:
    """An error about a job says which, and which field of it."""
    try:
        return look()
    except HapistoreError as error:
        raise UsageError(f"{_where(job)}field {field}: {error}") from error


def _where(job: ExtractionJob) -> str:
    return f"{job.where or f'job {job.name or _dataset(job)}'}, "


def _dataset(job: ExtractionJob) -> str:
    return job.dataset.label if isinstance(job.dataset, DatasetVersion) else job.dataset
