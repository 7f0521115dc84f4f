"""The main job beside the way it is usually written: ``python -m benchmarks.demo``.

One repetition is a whole demo on a fresh store, then one epoch of the usual script on the same
machine: read and decode each training photograph, run it through the frozen network in eager
PyTorch, train the head. Both use EfficientNet-Lite0 with its ImageNet weights. About two minutes each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import hapistore as hs
from hapistore.demo import run_demo
from hapistore.demo.photographs import write_manifest

from .environment import spread, write_result

_FIGURES = (
    "ingest_s",
    "extract_s",
    "epoch_s",
    "test_accuracy",
    "test_accuracy_full_precision",
    "bytes_per_image_raw",
    "bytes_per_image_features",
)


class _Photographs(Dataset):
    """Training photographs as the usual script reads them: a file, decoded and resized each time."""

    def __init__(self, table: Path, preprocess: hs.Preprocess) -> None:
        rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
        self.items = [(path, int(label == "defective")) for path, _, label, subset, *_ in rows if subset == "train"]
        self.preprocess = preprocess

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        path, label = self.items[row]
        return torch.from_numpy(self.preprocess(Path(path).read_bytes()).copy()), label


def usual_epoch_s(table: Path) -> float:
    """Seconds of one epoch of the usual script: DataLoader with two workers, eager float32."""
    prefix = hs.load_backbone("efficientnet_lite0").prefix("pool")
    head = nn.Linear(prefix.feature_shape[0], 2)
    optimiser = torch.optim.AdamW(head.parameters())
    loader = DataLoader(_Photographs(table, prefix.preprocess), batch_size=64, shuffle=True, num_workers=2)
    started = time.perf_counter()
    for pixels, labels in loader:
        with torch.no_grad():
            features = prefix.module(pixels)
        loss = nn.functional.cross_entropy(head(features), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return time.perf_counter() - started


@contextmanager
def _silent(what: str, unit: str):
    yield lambda done, total: None


def main() -> None:
    """Run the repetitions and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    figures: dict[str, list[float]] = {name: [] for name in (*_FIGURES, "usual_epoch_s")}
    for number in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            result = run_demo(hs.open_store(Path(folder, "store")), progress=_silent)
            write_manifest(Path(folder, "elpv.csv"), seed=0)
            figures["usual_epoch_s"].append(usual_epoch_s(Path(folder, "elpv.csv")))
        for name in _FIGURES:
            figures[name].append(getattr(result, name))
        print(f"run {number + 1} of {runs}: {result.to_json()}, usual epoch {figures['usual_epoch_s'][-1]:.1f} s")
    summary = {name: spread(values) for name, values in figures.items()}
    print(write_result("demo", {"images": result.images, "executor": result.executor, "figures": summary}))


if __name__ == "__main__":
    main()
