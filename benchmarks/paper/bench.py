"""Runs of the systems on the tiers, with what crossed the link while they ran."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import hapistore as hs
from hapistore.extraction import ExtractResult, Share
from hapistore.planning import plan_from_json
from hapistore.service.client import connect

from ..environment import spread
from ..stores import link_bytes
from . import training
from .data import WARM, images
from .networks import cut_at, traced
from .planning import hapi_cut, planned
from .tiers import Tiers
from .training import Run

STORED_CODEC, HAPI_CODEC = "u8c+zstd", "f32"
_BYTES_PER_MBIT = 1e6 / 8
_numbers = itertools.count(1)  # of streamed epochs


@dataclass
class Bench:
    """Tiers, and the network that is measured on them.

    Attributes:
        folder: with what the datasets were made of. recipes: of the cuts that the service was told of, by index.
    """

    tiers: Tiers
    folder: Path
    network: str
    dataset: str
    batch_size: int
    freeze_index: int = 0
    recipes: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.freeze_index = self.tiers.compute.submit(freeze_index, self.network).result()
        self.rows = len(images(self.folder, self.tiers.direct, self.dataset).labels)

    def tell(self, indices: Sequence[int], precision: str = "f32") -> None:
        """Tell the service of cuts, and have it run each once: networks are loaded before anything is timed."""
        for index in sorted(set(indices) - {0} - self.recipes.keys()):
            told = self.tiers.compute.submit(register, self.tiers.service, self.network, index, precision)
            self.recipes[index] = told.result()
            (run,) = self._runs(index, 1, 1)
            rows = len(images(self.folder, self.tiers.direct, WARM).labels)
            about = (run, self.tiers.service, WARM, rows, self.recipes[index], STORED_CODEC, next(_numbers))
            self.tiers.compute.submit(training.served, *about).result()

    def plan(self, link_mbit_s: int, uses: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Where the planner cuts over a link, by name of a use: ``index``, ``cut``, and ``epoch_s`` that it expects.

        Args:
            uses: of the plan's options, such as ``epochs``.
        """
        cuts = {}
        for use, options in uses.items():
            wanted = {"link": link_mbit_s * _BYTES_PER_MBIT, **options}
            answer = self.tiers.compute.submit(planned, *self._about, wanted).result()
            chosen = plan_from_json(answer["plan"]).chosen
            cuts[use] = {"index": chosen.cut.index, "cut": chosen.cut.name, "epoch_s": chosen.epoch_s}
        return cuts

    def hapi_cut(self, link_mbit_s: int) -> int:
        """Where HAPI's rule cuts over a link."""
        return self.tiers.compute.submit(hapi_cut, *self._about, link_mbit_s * _BYTES_PER_MBIT).result()

    @property
    def _about(self) -> tuple[str, str, str, int]:
        return self.tiers.service, self.network, self.dataset, self.batch_size

    def baseline(self, executor: str = "eager f32", few: int | None = None, tenants: int = 1) -> dict[str, Any]:
        """An epoch of images over the link, everything on the compute tier; of all images, or of so many."""
        found = images(self.folder, self.tiers.gateway, self.dataset, few=few)
        runs = self._runs(self.freeze_index, 1, tenants)
        return self._counted(
            self.tiers.compute, training.baseline, [(run, found, executor, run.tenant) for run in runs]
        )

    def all_in_cos(self, tenants: int = 1) -> dict[str, Any]:
        """An epoch with everything on the storage tier."""
        found = images(self.folder, self.tiers.direct, self.dataset)
        runs = self._runs(self.freeze_index, 1, tenants)
        return self._counted(
            self.tiers.storage, training.baseline, [(run, found, "eager f32", run.tenant) for run in runs]
        )

    def script(self, executor: str, epochs: int, few: int | None = None) -> dict[str, Any]:
        """Epochs of the script that extracts once to .npy; of all images, or of so many."""
        found = images(self.folder, self.tiers.gateway, self.dataset, few=few)
        (run,) = self._runs(self.freeze_index, epochs, 1)
        return self._counted(self.tiers.compute, training.script, [(run, found, executor, 0)])

    def streaming(self, index: int, codec: str = STORED_CODEC, tenants: int = 1) -> dict[str, Any]:
        """An epoch of features that are computed for it, and for each tenant anew, and not kept."""
        return self._served(index, codec, 1, tenants, kept=False)

    def stored(self, index: int, epochs: int, tenants: int = 1) -> dict[str, Any]:
        """Epochs of features that are stored; none is, when the first begins. Where images are shipped: of images."""
        self.forget()
        return self._served(index, STORED_CODEC, epochs, tenants, kept=True)

    def together(self, index: int, epochs: int, precision: str) -> dict[str, Any]:
        """Epochs of features that both tiers extract, each its share; none is stored, when the first begins."""
        self.forget()
        (run,) = self._runs(index, epochs, 1)
        storage = self._extracted(run, self.dataset, precision, STORED_CODEC)
        about = (run, self.tiers.gateway, self.dataset, self.rows, precision, STORED_CODEC)
        found = self._counted(self.tiers.compute, training.together, [about])
        storage.result()  # of what both tiers made at the end
        return found

    def again(self, index: int) -> dict[str, Any]:
        """An epoch of features that are stored, by a reader with nothing in memory."""
        return self._served(index, STORED_CODEC, 1, 1, kept=True)

    def forget(self) -> None:
        """Remove all features, variants' included, from the store."""
        store = hs.open_store(self.tiers.direct)
        for info in list(store.list("features/")):
            store.delete(info.name)

    def extract_together(self, dataset: str, index: int, precision: str, codec: str = STORED_CODEC) -> str:
        """Have both tiers extract, each its share; the recipe's digest."""
        (run,) = self._runs(index, 1, 1)
        storage = self._extracted(run, dataset, precision, codec)
        about = (run, self.tiers.gateway, dataset, precision, codec, Share(number=2, of=2))
        found: ExtractResult = self.tiers.compute.submit(training.extracted, *about).result()
        storage.result()
        return found.recipe.digest

    def _extracted(self, run: Run, dataset: str, precision: str, codec: str) -> Future[ExtractResult]:
        share = Share(number=1, of=2)
        return self.tiers.storage.submit(training.extracted, run, self.tiers.direct, dataset, precision, codec, share)

    def _served(self, index: int, codec: str, epochs: int, tenants: int, *, kept: bool) -> dict[str, Any]:
        runs, service = self._runs(index, epochs, tenants), self.tiers.service
        if index == 0:
            shipped = [(run, service, self.dataset, self.rows) for run in runs]
            return self._counted(self.tiers.compute, training.shipped, shipped)
        about = (service, self.dataset, self.rows, self.recipes[index], codec)
        served = [(run, *about, None if kept else next(_numbers)) for run in runs]
        return self._counted(self.tiers.compute, training.served, served)

    def _runs(self, index: int, epochs: int, tenants: int) -> list[Run]:
        about = {"network": self.network, "index": index, "batch_size": self.batch_size, "epochs": epochs}
        return [Run(**about, tenant=tenant) for tenant in range(tenants)]  # type: ignore[arg-type]

    def _counted(
        self, tier: ProcessPoolExecutor, way: Callable[..., list[float]], of_tenants: Sequence[tuple[Any, ...]]
    ) -> dict[str, Any]:
        """Seconds of each epoch, of tenants at once until the last has ended, and the bytes that crossed the link."""
        before = link_bytes()
        if len(of_tenants) == 1:
            seconds = tier.submit(way, *of_tenants[0]).result()
        else:
            seconds = tier.submit(training.at_once, [(way, about) for about in of_tenants]).result()
        return {"epochs_s": seconds, "bytes": link_bytes() - before}


def register(service: str, network: str, index: int, precision: str) -> str:
    """Tell a service of a cut; the recipe's digest. In the process of the compute tier."""
    prefix = cut_at(network, index).prefix
    assert prefix is not None
    with connect(service) as client:
        return client.register(prefix, precision=precision).digest


def freeze_index(network: str) -> int:
    """Of a network, by name. In the process of the compute tier."""
    return int(traced(network)[0].freeze_index)


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """Names in the order of a round, each round beginning with another."""
    at = number % len(names)
    return [*names[at:], *names[:at]]


def gathered(runs: Sequence[dict[str, Any]], rows: int) -> dict[str, Any]:
    """Rounds of one system as medians with spread: seconds of the first epoch, and of each later one; bytes of all.

    Args:
        rows: images of an epoch, which the bytes are divided by.
    """
    found = {
        "first_s": spread([run["epochs_s"][0] for run in runs]),
        "bytes_per_image": spread([run["bytes"] / rows for run in runs]),
        "epochs": len(runs[0]["epochs_s"]),
    }
    if found["epochs"] > 1:
        found["later_s"] = spread([mean(run["epochs_s"][1:]) for run in runs])
    return found
