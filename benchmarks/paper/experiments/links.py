"""BASELINE and stored features of the other networks, over every link; a unit is a network over a link.

Features are cut at the freeze point, without a plan: whether that is at least as fast as BASELINE is what is asked.
"""

from __future__ import annotations

from pathlib import Path

from ..bench import Bench
from ..data import photographs
from ..ledger import Ledger
from ..networks import NETWORKS
from ..scale import Scale
from ..tiers import two_tiers
from .models import batch_size, pair

SETTINGS = ("rounds",)


def run(folder: Path, scale: Scale, ledger: Ledger) -> None:
    """Measure every network and link that is not there yet."""
    wanted = {
        name: set(scale.pair_links_mbit_s) - set(scale.links_mbit_s if name in scale.whole else ())
        for name in scale.pairs
    }  # the others are of `models`
    missing = {
        name: absent
        for name, links in wanted.items()
        if (absent := [link for link in sorted(links) if not ledger.has(f"{name} {link}")])
    }
    if not missing:
        return
    fill = photographs(folder, [NETWORKS[name].images for name in missing])
    with two_tiers(folder / "links", fill, store=scale.stores[0], link_mbit_s=scale.pair_links_mbit_s[0]) as tiers:
        for name, links in missing.items():
            images = NETWORKS[name].images
            bench = Bench(tiers, folder, name, f"photos-{images}", batch_size(images))
            for link in links:
                ledger.measure(f"{name} {link}", lambda bench=bench, link=link: pair(bench, scale.rounds, (link,)))
