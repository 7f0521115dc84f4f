"""What codecs and bf16 cost in accuracy: a linear probe on decoded features, ``python -m benchmarks.probe``.

Five times five-fold cross-validation of a logistic regression on real features (ELPV photographs, EfficientNet-Lite0
with its ImageNet weights, pooled; good or defective). All get the same folds, so differences are paired: codecs with
their float32 features (by eager PyTorch), and bf16 features (by each executor that has them) with the same.
Needs ``pip install '.[bench,cpu,demo]'``. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hapistore as hs
from hapistore.demo.photographs import write_manifest
from hapistore.read import Batch
from hapistore.stores import ObjectStore

from .environment import write_result

# Executors that give bf16 in seconds; Inductor would compile for most of a minute.
BF16 = ("torch", "openvino")
CODECS = ("f32", "f16+zstd", "bf16+zstd", "u8c+zstd", "u4c+zstd")
_REGULARISATION = 0.01  # scikit-learn's C, on standardised features


def stored_features(backbone: str, cut: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features as each codec and each bf16 executor gives them, float32 [rows, channels], and labels."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "elpv.csv")
        write_manifest(table, seed=0)
        store = hs.open_store(Path(folder, "store"))
        hs.ingest(store, "elpv", hs.manifest(table))
        prefix = hs.load_backbone(backbone).prefix(cut)
        eager = hs.ExtractOptions(executor="torch")
        recipe = hs.extract(store, "elpv", prefix, codecs=CODECS, options=eager).recipe
        batches = {codec: _read(store, recipe.digest, codec) for codec in CODECS}
        for executor in BF16:
            options = hs.ExtractOptions(executor=executor, precision="bf16")
            # A store for each: their recipe is the same, and what is stored is not extracted again.
            with tempfile.TemporaryDirectory() as another:
                store = hs.open_store(Path(another, "store"))
                hs.ingest(store, "elpv", hs.manifest(table))
                recipe = hs.extract(store, "elpv", prefix, codecs=["f32"], options=options).recipe
                batches[f"bf16 by {executor}"] = _read(store, recipe.digest, "f32")
    targets = batches["f32"].targets
    assert targets is not None
    return {name: batch.features for name, batch in batches.items()}, targets


def _read(store: ObjectStore, recipe: str, codec: str) -> Batch:
    """All features in row order."""
    view = hs.open_view(store, "elpv", recipe=recipe, codec=codec)
    return next(iter(hs.FeatureReader(view, hs.ReadOptions(shuffle="none", batch_size=1 << 20)).epoch(0)))


def accuracies(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Accuracy of each of the 25 folds."""
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=5, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_REGULARISATION, max_iter=2000))
    return np.asarray(cross_val_score(model, features, labels, cv=folds, n_jobs=-1))


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    features, labels = stored_features("efficientnet_lite0", "pool")
    found = {codec: accuracies(x, labels, seed) for codec, x in features.items()}
    codecs = {
        codec: {
            "accuracy": float(scores.mean()),
            "points_below_f32": float(100 * (found["f32"] - scores).mean()),
            "standard_error_points": float(100 * (found["f32"] - scores).std(ddof=1) / np.sqrt(len(scores))),
        }
        for codec, scores in found.items()
    }
    result = {"rows": len(labels), "folds": len(found["f32"]), "seed": seed, "codecs": codecs}
    print(write_result("probe", result, packages=["scikit-learn"]))


if __name__ == "__main__":
    main()
