"""Measuring a network for ``hapistore plan``: what comes to more than arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..catalog import require_store, resolve_version
from ..stores import ObjectStore
from .progress import ShowProgress

if TYPE_CHECKING:
    from ..prepare import Planned


def plan_model(store: ObjectStore, dataset: str, given: dict[str, Any]) -> Planned:
    """Load a network by name, measure it on a dataset, and plan.

    Args:
        given: the verb's options, by name.

    Raises:
        UsageError, HapistoreError: as `plan_training` and `load_backbone`.
    """
    require_store(store)
    resolve_version(store, dataset)  # before the network is loaded, which takes seconds
    from ..extraction import DEFAULT_CODEC, ExtractOptions
    from ..models import load_backbone
    from ..prepare import PrepareOptions, plan_training

    backbone = load_backbone(given["model"], weights=given["weights"])
    options = PrepareOptions(
        freeze_until=given["freeze_until"],
        freeze_all=given["freeze_until"] is None,
        policy=given["policy"],
        preprocess=backbone.preprocess,
        name=backbone.architecture,
        link=given["link"],
        epochs=given["epochs"],
        batch_size=given["batch_size"],
        codec=given["codec"] or DEFAULT_CODEC,
        cache_bytes=given["cache"],
        disk_bytes=given["disk"],
        extract=ExtractOptions(memory_bytes=given["memory"]),
    )
    with ShowProgress(f"measure {backbone.architecture}", "cuts") as progress:
        return plan_training(
            backbone.whole(), store, dataset, options, on_progress=lambda _, done, total: progress(done, total)
        )
