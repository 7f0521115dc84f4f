"""What stored variants buy a linear head, and what they cost: ``python -m benchmarks.augmentation``.

ELPV photographs, EfficientNet-Lite0 with its ImageNet weights, pooled; good or defective. A logistic regression is
trained by full-batch Adam, each epoch on the variants that a reader draws for it; five-fold cross-validation, as often
as ``--repeats`` with other folds and other draws. In each fold three parts train, the fourth chooses weight decay and
the epoch to stop at, the fifth is tested, both on the images as they are. All get the same folds, so differences are
paired. Seconds are processor time of extractions of ``--timed`` photographs into stores of their own, in rounds.
Needs ``pip install '.[bench,cpu,demo]'``. Half an hour on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

import hapistore as hs
from hapistore.catalog.inventory import dataset_features
from hapistore.demo.photographs import write_manifest
from hapistore.models import Prefix
from hapistore.stores import ObjectStore

from .environment import spread, write_result

COUNTS = (1, 2, 4, 8)
AUGMENTS = {
    "strong": hs.AugmentOptions(variants=8),
    "whole": hs.AugmentOptions(variants=4, crop_percent=None),
    "mild": hs.AugmentOptions(variants=2, crop_percent=(75, 100), colour_percent=(10, 10, 10)),
}
CODEC = "u8c+zstd"
SHARD_BYTES = 8 << 20  # small, so that with --keep little is lost by a stop
PARTS, EPOCHS, EVERY = 5, 300, 10
WEIGHT_DECAYS = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1)
RATE = 3e-3


def counts(augment: hs.AugmentOptions) -> list[int]:
    """How many variants are measured of an augmentation."""
    return [count for count in COUNTS if count <= augment.variants]


class Drawn:
    """Features of all rows, standardised: those of an epoch, and the images' as they are."""

    def __init__(self, store: ObjectStore, *, variants: int = 0, augment: str | None = None, seed: int = 0) -> None:
        chosen = {"variants": variants, "augment": augment} if variants else {}
        view = hs.open_view(store, "elpv", recipe="efficientnet_lite0", codec=CODEC, **chosen)
        options = hs.ReadOptions(shuffle="none", batch_size=1 << 20, seed=seed)
        self._reader = hs.FeatureReader(view, options)
        plain = hs.FeatureReader(view, replace(options, augment=False))
        batch = next(plain.epoch(0))
        assert batch.targets is not None
        self.targets = batch.targets
        self._mean, self._std = batch.features.mean(0), batch.features.std(0) + 1e-6
        self.plain = self._scaled(batch.features)
        self._same = not variants

    def epoch(self, number: int) -> torch.Tensor:
        """float32 [rows, channels], in row order."""
        if self._same:
            return self.plain
        batch = next(self._reader.epoch(number))
        features = np.empty_like(batch.features)
        features[batch.rows] = batch.features
        return self._scaled(features)

    def _scaled(self, features: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((features - self._mean) / self._std)


def fold_parts(targets: np.ndarray, repeat: int) -> np.ndarray:
    """Which part each row is in, int64 [rows]."""
    folds = StratifiedKFold(PARTS, shuffle=True, random_state=repeat).split(targets, targets)
    parts = np.empty(len(targets), np.int64)
    for part, (_, chosen) in enumerate(folds):
        parts[chosen] = part
    return parts


def accuracies(drawn: Drawn, repeat: int) -> list[float]:
    """Test accuracy of each fold. One head for each fold and weight decay, all trained together."""
    parts = torch.from_numpy(fold_parts(drawn.targets, repeat))
    labels = torch.from_numpy(drawn.targets).to(torch.float32)[:, None]
    heads = [(fold, decay) for fold in range(PARTS) for decay in WEIGHT_DECAYS]
    tests = torch.stack([parts == fold for fold, _ in heads], 1)
    choosing = torch.stack([parts == (fold + 1) % PARTS for fold, _ in heads], 1)
    train = (~tests & ~choosing).to(torch.float32)
    train /= train.sum(0)
    decays = torch.tensor([decay for _, decay in heads])
    weights = torch.zeros(drawn.plain.shape[1], len(heads), requires_grad=True)
    bias = torch.zeros(len(heads), requires_grad=True)
    adam = torch.optim.Adam([weights, bias], lr=RATE)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    for epoch in range(EPOCHS):
        logits = drawn.epoch(epoch) @ weights + bias
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, labels.expand_as(logits), reduction="none"
        )
        loss = (losses * train).sum() + (decays * weights.square().sum(0)).sum() / 2
        adam.zero_grad()
        loss.backward()
        adam.step()
        if (epoch + 1) % EVERY == 0:
            with torch.no_grad():
                right = ((drawn.plain @ weights + bias > 0) == (labels > 0)).to(torch.float32)
            seen.append(tuple((right * rows).sum(0) / rows.sum(0) for rows in (choosing, tests)))
    return _chosen(seen)


def _chosen(seen: list[tuple[torch.Tensor, torch.Tensor]]) -> list[float]:
    """Of each fold, the test accuracy where the choosing part's is highest, the earliest of equals."""
    choosing = torch.stack([c for c, _ in seen]).view(len(seen), PARTS, len(WEIGHT_DECAYS))
    tests = torch.stack([t for _, t in seen]).view(len(seen), PARTS, len(WEIGHT_DECAYS))
    found = []
    for fold in range(PARTS):
        best = int(choosing[:, fold].reshape(-1).argmax())
        found.append(float(tests[:, fold].reshape(-1)[best]))
    return found


def measure_accuracy(store: ObjectStore, repeats: int) -> dict[str, Any]:
    """Points above the images as they are, of every number of variants of every augmentation."""
    kinds: dict[str, dict[str, Any]] = {"none": {}}
    for name, augment in AUGMENTS.items():
        for count in counts(augment):
            kinds[f"{name} {count}"] = {"variants": count, "augment": augment.number(0).name}
    scores: dict[str, list[float]] = {
        kind: [score for repeat in range(repeats) for score in accuracies(Drawn(store, seed=repeat, **chosen), repeat)]
        for kind, chosen in kinds.items()
    }
    return {kind: _accuracy(found, scores["none"]) for kind, found in scores.items()}


def _accuracy(found: list[float], plain: list[float]) -> dict[str, Any]:
    gained = 100 * (np.array(found) - np.array(plain))
    return {
        "accuracy": spread(found),
        "mean_accuracy": float(np.mean(found)),
        "points_gained": float(gained.mean()),
        "standard_error_points": float(gained.std(ddof=1) / np.sqrt(len(gained))),
    }


def stored_bytes(store: ObjectStore) -> dict[str, float]:
    """Bytes an image, by kind: of the image as it is and of all variants up to a number."""
    view = hs.open_view(store, "elpv", recipe="efficientnet_lite0", codec=CODEC)
    sizes = {s.recipe.digest: s.bytes_per_row for s in dataset_features(store, view.version) if s.codec == CODEC}
    plain = sizes[view.recipe.digest]
    found = {"none": plain}
    for name, augment in AUGMENTS.items():
        recipes = augment.recipes(view.recipe)
        for count in counts(augment):
            found[f"{name} {count}"] = plain + sum(sizes[recipe.digest] for recipe in recipes[:count])
    return found


def measure_seconds(prefix: Prefix, rows: int, rounds: int) -> dict[str, Any]:
    """Processor seconds of whole extractions, and how many times that of the images as they are, by round."""
    seconds: dict[int, list[float]] = {count: [] for count in (0, *COUNTS)}
    with tempfile.TemporaryDirectory() as folder:
        some = Path(folder, "some.csv")
        write_manifest(some, seed=0, limit=rows)
        for number in range(-1, rounds):  # the first only warms up
            for count, found in seconds.items():
                store = hs.open_store(Path(folder, f"store-{number}-{count}"))
                hs.ingest(store, "elpv", hs.manifest(some))
                augment = replace(AUGMENTS["strong"], variants=count) if count else None
                started = time.process_time()
                hs.extract(store, "elpv", prefix, codecs=[CODEC], options=_options(augment))
                if number >= 0:
                    found.append(time.process_time() - started)
    return {
        str(count): {
            "seconds": spread(found),
            "times_plain": spread([a / b for a, b in zip(found, seconds[0], strict=True)]),
        }
        for count, found in seconds.items()
    }


def _options(augment: hs.AugmentOptions | None) -> hs.ExtractOptions:
    return hs.ExtractOptions(executor="openvino", max_batch=32, augment=augment)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--timed", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a folder to keep the store in: run again, it goes on there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() if given.keep is None else nullcontext(given.keep) as folder:
        table = Path(folder, "elpv.csv")
        table.parent.mkdir(parents=True, exist_ok=True)
        write_manifest(table, seed=0)
        store = hs.open_store(Path(folder, "store"))
        hs.ingest(store, "elpv", hs.manifest(table), hs.IngestOptions(shard_bytes=SHARD_BYTES))
        prefix = hs.load_backbone("efficientnet_lite0").prefix("pool")
        for augment in AUGMENTS.values():
            hs.extract(store, "elpv", prefix, codecs=[CODEC], options=_options(augment))
        result = {
            "rows": hs.open_view(store, "elpv", recipe="efficientnet_lite0", codec=CODEC).version.rows,
            "repeats": given.repeats,
            "augments": {name: augment.number(0).name for name, augment in AUGMENTS.items()},
            "codec": CODEC,
            "accuracy": measure_accuracy(store, given.repeats),
            "bytes_per_image": stored_bytes(store),
            "timed_images": given.timed,
            "processor_seconds": measure_seconds(prefix, given.timed, given.rounds),
        }
    print(write_result("augmentation", result, packages=["scikit-learn"]))


if __name__ == "__main__":
    main()
