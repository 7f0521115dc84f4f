"""Jobs over noise images for the worker's tests: what networks give is known."""

from __future__ import annotations

import numpy as np
from fragile_networks import Fragile

import hapistore as hs
from hapistore.extraction import ExtractionJob, WorkerOptions
from hapistore_format import DatasetVersion

PLENTY = WorkerOptions(memory_bytes=16 << 30, decode_threads=2)
PREPROCESS = hs.Preprocess(resize_px=8, crop_px=(8, 8), mean_levels=(0.0,) * 3, std_levels=(1.0,) * 3)


def fragile(gain: float = 1.5, pause_s: float = 0.0):
    """Its features are ``gain`` times the mean of each channel."""
    network = Fragile(pause_s=pause_s)
    network.gain.data.fill_(gain)
    return hs.backbone_from_module(network, name="fragile", preprocess=PREPROCESS, program="fragile 1").prefix()


def job(dataset: str | DatasetVersion, network, **more) -> ExtractionJob:
    return ExtractionJob(**{"dataset": dataset, "network": network, "codecs": ("f32",), "executor": "torch", **more})


def rows_of(store, dataset: str, recipe: str) -> dict[str, np.ndarray]:
    """Features by row."""
    view = hs.open_view(store, dataset, recipe=recipe, codec="f32")
    batches = hs.FeatureReader(view, hs.ReadOptions(shuffle="none")).epoch(0)
    return {row: features.copy() for b in batches for row, features in zip(b.rows.tolist(), b.features, strict=True)}
