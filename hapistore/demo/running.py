"""The demo's stages, and what they measured."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..catalog import View, codec_sizes, open_view
from ..extraction import ExtractResult, extract
from ..ingestion import IngestResult, ingest, manifest
from ..models import load_backbone
from ..stores import ObjectStore
from .photographs import write_manifest
from .training import train_head

DATASET = "elpv"
BACKBONE = "efficientnet_lite0"
STORED, EXACT = "u8c+zstd", "f32"
# A held-out fifth is 525 photographs, so one more of them right is 0.2 points: several heads average that out.
_HEADS = 5

Progress = Callable[[str, str], AbstractContextManager[Callable[[int, int | None], None]]]


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo measured. Accuracies are means over heads trained from different seeds.

    Attributes:
        bytes_per_image_raw, bytes_per_image_features: encoded photograph, and feature shard files in codec u8c+zstd.
        ingest_s, extract_s: seconds, near zero where a run before had stored the result.
        epoch_s: median seconds of a training epoch from the stored features.
        test_accuracy, test_accuracy_full_precision: heads trained and tested on the stored 8-bit features, and
            on float32 features of the same images.
    """

    images: int
    bytes_per_image_raw: float
    bytes_per_image_features: float
    ingest_s: float
    extract_s: float
    epoch_s: float
    test_accuracy: float
    test_accuracy_full_precision: float
    heads: int
    images_extracted: int
    weights: str
    executor: str
    dataset: str

    def to_json(self) -> dict[str, Any]:
        """The object that ``hapistore demo --json`` prints."""
        return asdict(self)


def run_demo(store: ObjectStore, *, seed: int = 0, progress: Progress) -> DemoResult:
    """Ingest the photographs, extract their features, train linear heads on them.

    Args:
        seed: of the held-out fifth and the heads.
        progress: called with (what, unit), gives a context that is called with (done, total).

    Raises:
        UsageError: the photographs or the network's weights are not installed.
    """
    prefix = load_backbone(BACKBONE).prefix("pool")
    ingested = _ingest(store, seed, progress)
    with progress("extract features", "images") as show:
        extracted = extract(store, ingested.version.label, prefix, codecs=(STORED, EXACT), on_progress=show)
    accuracy, epoch_s = _train(_view(store, extracted, STORED), seed, progress)
    exact_accuracy, _ = _train(_view(store, extracted, EXACT), seed, progress)
    return DemoResult(
        images=ingested.images,
        bytes_per_image_raw=ingested.bytes / ingested.images,
        bytes_per_image_features=codec_sizes(store, extracted.version, extracted.recipe, [STORED])[STORED],
        ingest_s=ingested.seconds,
        extract_s=extracted.seconds,
        epoch_s=epoch_s,
        test_accuracy=accuracy,
        test_accuracy_full_precision=exact_accuracy,
        heads=_HEADS,
        images_extracted=extracted.images,
        weights=prefix.weights_name,
        executor=extracted.executor,
        dataset=ingested.version.label,
    )


def _ingest(store: ObjectStore, seed: int, progress: Progress) -> IngestResult:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "elpv.csv")
        write_manifest(table, seed)
        with progress("ingest photographs", "images") as show:
            return ingest(store, DATASET, manifest(table), on_progress=show)


def _view(store: ObjectStore, extracted: ExtractResult, codec: str) -> View:
    return open_view(store, extracted.version.label, recipe=extracted.recipe.digest, codec=codec)


def _train(view: View, seed: int, progress: Progress) -> tuple[float, float]:
    """Mean accuracy of the heads, and the median epoch's seconds."""
    trainings = []
    with progress(f"train heads on {view.codec}", "heads") as show:
        for number in range(_HEADS):
            trainings.append(train_head(view, seed=seed + number))
            show(number + 1, _HEADS)
    epoch_s = statistics.median(second for training in trainings for second in training.epoch_seconds)
    return statistics.fmean(training.accuracy for training in trainings), epoch_s
