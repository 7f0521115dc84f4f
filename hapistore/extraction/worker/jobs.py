"""What a worker is asked to extract, and the check that all of it can be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from hapistore_format import DatasetVersion, Recipe, get_codec

from ...catalog import require_store, resolve_version
from ...catalog.codec_choice import AUTO, check_max_error
from ...catalog.features import list_tasks
from ...errors import HapistoreError, UsageError
from ...images import Preprocess
from ...models import Prefix, load_backbone
from ...stores import ObjectStore
from ..executors import EXECUTORS
from ..recipes import recipe_of

_Out = TypeVar("_Out")


@dataclass(frozen=True, kw_only=True)
class Network:
    """A frozen prefix by name, so that it can be loaded when its turn comes, and again.

    Attributes:
        backbone, weights: as `load_backbone` takes them; cut, decoder: as `Backbone.prefix` does.
    """

    backbone: str
    weights: str = "pretrained"
    cut: str | None = None
    decoder: str | None = None

    def load(self) -> Prefix:
        """Into memory.

        Raises:
            UsageError: there is no such network.
        """
        return load_backbone(self.backbone, weights=self.weights).prefix(self.cut, decoder=self.decoder)


@dataclass(frozen=True, kw_only=True)
class ExtractionJob:
    """One extraction among others.

    Attributes:
        dataset: ``pets`` or ``pets@7``.
        network: what to run; a `Prefix` itself stays in memory all the time.
        codecs, max_error, precision, executor, device, max_batch, retry_bad: as in `extract` and `ExtractOptions`.
        tenant: whose it is; weight: the tenant's share of turns.
        name: unlike any other's; "": made up. where: said in errors about it, such as ``jobs.toml, line 3``.
    """

    dataset: str
    network: Network | Prefix
    codecs: tuple[str, ...] = ("u8c+zstd",)
    max_error: float | None = None
    precision: str = "f32"
    executor: str = "auto"
    device: str | None = None
    max_batch: int = 256
    retry_bad: bool = False
    tenant: str = "default"
    weight: float = 1.0
    name: str = ""
    where: str = ""


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

    def load(self) -> Prefix:
        """Its network."""
        network = self.job.network
        return network if isinstance(network, Prefix) else network.load()


@dataclass(frozen=True)
class _Known:
    """What is kept of a network that was looked at."""

    recipe: Recipe
    preprocess: Preprocess
    weights_bytes: int
    weights_name: str


class JobChecker:
    """Looks at jobs before any of them runs; each network is loaded once, one at a time."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: dict[tuple[Network | Prefix, str], _Known] = {}
        self._names: set[str] = set()

    def check(self, jobs: Sequence[ExtractionJob]) -> list[CheckedJob]:
        """All of them, or none.

        Raises:
            UsageError: there is no such store, dataset, codec, network or executor, or two jobs have one name.
        """
        require_store(self._store)
        names: list[str] = []
        for job in jobs:
            names.append(self._name(job, self._names.union(names)))
        # What takes no time first.
        bounds = [self._check_words(job) for job in jobs]
        versions = [_named(job, "dataset", partial(resolve_version, self._store, job.dataset)) for job in jobs]
        checked = [self._check_network(*about) for about in zip(jobs, names, versions, bounds, strict=True)]
        self._names.update(names)  # only now: a job that was turned down leaves its name to others
        return checked

    @staticmethod
    def _name(job: ExtractionJob, taken: Set[str]) -> str:
        if job.name in taken:
            raise UsageError(f"{_where(job)}field name: {job.name!r} is another job's; give each its own, or none")
        number, name = 2, job.name or f"{job.dataset}:{_short(job.network)}"
        made = name
        while made in taken:
            made, number = f"{name}#{number}", number + 1
        return made

    def _check_words(self, job: ExtractionJob) -> float:
        for codec in job.codecs:
            if codec != AUTO:
                _named(job, "codec", partial(get_codec, codec))
        if job.executor not in EXECUTORS:
            raise UsageError(f"{_where(job)}field executor: {job.executor!r} is none of {', '.join(EXECUTORS)}")
        if job.max_batch < 1 or not 0 < job.weight < float("inf"):
            raise UsageError(f"{_where(job)}fields max-batch, weight: at least 1, and above 0")
        return _named(job, "max-error", partial(check_max_error, job.codecs, job.max_error))

    def _check_network(self, job: ExtractionJob, name: str, version: DatasetVersion, max_error: float) -> CheckedJob:
        key = job.network, job.precision
        if key not in self._known:
            self._known[key] = _named(job, "backbone", partial(_look_at, job))
        known = self._known[key]
        if AUTO in job.codecs:
            to_run, present = len(version.shards), 0
        else:
            tasks = list_tasks(self._store, version, known.recipe, job.codecs, retry_bad=job.retry_bad)
            to_run = sum(bool(task.missing) and not task.source for task in tasks)
            present = sum(not task.missing for task in tasks)
        return CheckedJob(
            job=job, name=name, version=version, max_error=max_error, to_run=to_run, present=present, **vars(known)
        )


def _look_at(job: ExtractionJob) -> _Known:
    prefix = job.network if isinstance(job.network, Prefix) else job.network.load()
    recipe, weights = recipe_of(prefix, precision=job.precision)
    return _Known(recipe, prefix.preprocess, len(weights), prefix.weights_name)


def _named(job: ExtractionJob, field: str, look: Callable[[], _Out]) -> _Out:
    """An error about a job says which, and which field of it."""
    try:
        return look()
    except HapistoreError as error:
        raise UsageError(f"{_where(job)}field {field}: {error}") from error


def _where(job: ExtractionJob) -> str:
    return f"{job.where or f'job {job.name or job.dataset}'}, "


def _short(network: Network | Prefix) -> str:
    if isinstance(network, Prefix):
        return network.architecture
    return network.backbone + (f":{network.cut}" if network.cut else "")
