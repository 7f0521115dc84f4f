"""How much is measured: the quick form in some forty minutes on two slow cores, and the whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .networks import NETWORKS


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of each experiment is measured.

    Attributes:
        rounds: of each comparison.
        stores: the first has every experiment, the others the paper's AlexNet.
        whole: networks that all systems are compared with, over links_mbit_s, and on whole_stores; on other stores only
            BASELINE and stored features.
        pairs: networks of which only these two are compared, over pair_links_mbit_s.
        weak_shares: what a weak storage tier has of a core.
        batches: training batches. batch_images: of an epoch of that experiment; more where a batch is larger.
        fixed_batches: training batches that are extracted at once, beside adapted extraction; adaptation_rounds: of
            that.
        tenants: numbers of them at once.
        epochs_images: so many of ELPV's photographs are run where PyTorch is, and stand for all; None: all.
    """

    rounds: int
    stores: tuple[str, ...] = ("seaweedfs", "swift")
    whole: tuple[str, ...]
    whole_stores: tuple[str, ...]
    links_mbit_s: tuple[int, ...]
    pairs: tuple[str, ...]
    pair_links_mbit_s: tuple[int, ...]
    weak_shares: tuple[float, ...]
    batches: tuple[int, ...]
    batch_images: int
    fixed_batches: tuple[int, ...]
    adaptation_rounds: int
    tenants: tuple[int, ...]
    epochs_images: int | None


def settings_of(scale: Scale, names: Sequence[str]) -> dict[str, Any]:
    """These of its fields, as a file gives them back."""
    fields: dict[str, Any] = json.loads(json.dumps(asdict(scale)))
    return {name: fields[name] for name in names}


QUICK = Scale(
    rounds=2,
    whole=("alexnet",),
    whole_stores=("seaweedfs",),
    links_mbit_s=(50, 1000),
    pairs=("resnet50", "vgg19", "densenet121", "vit_b_16"),
    pair_links_mbit_s=(1000,),
    weak_shares=(),
    batches=(128, 256),
    batch_images=128,
    fixed_batches=(128, 8000),
    adaptation_rounds=1,
    tenants=(1, 4, 8),
    epochs_images=160,
)
WHOLE = Scale(
    rounds=3,
    whole=tuple(NETWORKS),
    whole_stores=("seaweedfs", "swift"),
    links_mbit_s=(50, 200, 1000, 10_000),
    pairs=(),
    pair_links_mbit_s=(),
    weak_shares=(0.5, 0.2),
    batches=(128, 512, 2000, 8000),
    batch_images=512,
    fixed_batches=(128, 500, 1000, 2000, 4000, 8000),
    adaptation_rounds=3,
    tenants=(1, 2, 5, 10, 20),
    epochs_images=None,
)
