"""HAPI's evaluation, reproduced on one machine: ``make bench-paper``, or ``python -m benchmarks.paper``.

A storage tier (SeaweedFS, or OpenStack Swift, which HAPI used, and ``hapistore serve``) on one core, a compute tier on
the other, and between them the loopback device of a network namespace of its own, shaped (root, and iproute2). Each
experiment writes ``results/paper_NAME.json``, unit by unit: a run that was stopped goes on behind the last one, and
what was measured under other settings is measured anew. ``--quick`` takes some forty minutes on two slow cores, the
whole some hours; ``--quick --only links --links 50 200 1000 10000`` half an hour more. Swift's proxies use memcached
where it is installed. Tables and plots are made from the results by ``make docs``. Needs
``pip install '.[bench,cpu,images,serve,demo,dev]'``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from ..stores import enter_namespace
from .experiments import adaptation, batches, epochs, links, models, tenants, weak
from .ledger import Ledger
from .networks import NETWORKS
from .scale import QUICK, WHOLE, settings_of

EXPERIMENTS: dict[str, ModuleType] = {
    "models": models,
    "links": links,
    "weak": weak,
    "batches": batches,
    "adaptation": adaptation,
    "tenants": tenants,
    "epochs": epochs,
}
"""Each has ``run``, and the ``SETTINGS`` that it is measured under."""


def main() -> None:
    """Measure what is not there yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer networks, links and rounds")
    parser.add_argument(
        "--links", nargs="+", type=int, metavar="MBIT", help="have `links` compare every network, over these"
    )
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--fresh", action="store_true", help="measure anew what is there")
    options = parser.parse_args()
    enter_namespace("benchmarks.paper")
    scale = QUICK if options.quick else WHOLE
    if options.links:
        scale = replace(scale, pairs=tuple(NETWORKS), pair_links_mbit_s=tuple(options.links))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        for name in options.only:
            experiment = EXPERIMENTS[name]
            ledger = Ledger(name, settings_of(scale, experiment.SETTINGS), fresh=options.fresh)
            experiment.run(folder, scale, ledger)


if __name__ == "__main__":
    main()
