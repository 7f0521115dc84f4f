"""What hands shuffled training batches of stored features to a training loop: hapistore, and what people use.

For each a function that writes the features and one that iterates over epochs of (features, labels): float32 torch
tensors [256, *shape] and int64 [256]. Who cannot quantise stores float16. Settings are the ones that each documents as
the fastest for local data; of the numbers of loader workers 0 and 2, both are tried and the better one counts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from . import read_loaders as loaders
from .read_data import BATCH, half_chunks, label_of, open_many
from .read_loaders import Batches


class Peer(NamedTuple):
    """One way to store and to read.

    Attributes:
        write: (real features, rows, folder); batches: (folder, loader workers), one epoch.
        workers: numbers of loader workers that make sense; settings: for the table.
        loader: it is a loader library; buckets: it reads object stores too.
    """

    write: Callable[[np.ndarray, int, Path], None] | None
    batches: Callable[[Path, int], Batches]
    workers: tuple[int, ...]
    settings: str
    loader: bool = True
    buckets: bool = False


# hapistore


def _hapistore(folder: Path, workers: int) -> Batches:
    from torch.utils.data import DataLoader

    from hapistore_torch import FeaturePipe

    pipe = FeaturePipe(open_many(folder), batch_size=BATCH)
    source = DataLoader(pipe, batch_size=None, num_workers=workers, persistent_workers=True) if workers else pipe
    while True:
        yield from source


# numpy and torch


def _write_npy(real: np.ndarray, rows: int, folder: Path) -> None:
    folder.mkdir()
    out = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, (rows, *real.shape[1:]))
    at = 0
    for features, _ in half_chunks(real, rows):
        out[at : at + len(features)] = features
        at += len(features)
    out.flush()
    np.save(folder / "labels.npy", label_of(np.arange(rows)))


def _memmap(folder: Path, workers: int) -> Batches:
    features, labels = np.load(folder / "features.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    while True:
        order = np.random.permutation(len(features))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            yield torch.from_numpy(features[rows].astype(np.float32)), torch.from_numpy(labels[rows])


def _tensor(folder: Path, workers: int) -> Batches:
    features = torch.from_numpy(np.load(folder / "features.npy").astype(np.float32))
    labels = torch.from_numpy(np.load(folder / "labels.npy"))
    while True:
        for rows in torch.randperm(len(features)).split(BATCH):
            yield features[rows], labels[rows]


PEERS: dict[str, Peer] = {
    "hapistore": Peer(None, _hapistore, (0,), "FeaturePipe as it comes", loader=False, buckets=True),
    "numpy memmap": Peer(_write_npy, _memmap, (0,), "f16, fancy indexing, astype", loader=False),
    "torch tensor in memory": Peer(None, _tensor, (0,), "float32, indexing", loader=False),
    "LitData": Peer(
        loaders.write_litdata, loaders.read_litdata, (0, 2), "f16, shuffle=True, 64 MB chunks", buckets=True
    ),
    "MosaicML Streaming": Peer(
        loaders.write_mosaicml, loaders.read_mosaicml, (0, 2), "f16 ndarray columns, shuffle=True", buckets=True
    ),
    "WebDataset": Peer(
        loaders.write_webdataset, loaders.read_webdataset, (0, 2), "f16 .npy, shuffle(5000), batched", buckets=True
    ),
    "Lance": Peer(
        loaders.write_lance,
        loaders.read_lance,
        (0,),
        "f16 fixed-size lists, take() of sorted random rows",
        buckets=True,
    ),
    "Hugging Face datasets": Peer(
        loaders.write_huggingface, loaders.read_huggingface, (0, 2), "f16, batched random indices", buckets=True
    ),
    "FFCV": Peer(loaders.write_ffcv, loaders.read_ffcv, (1, 2), "f16 as int16, RANDOM, os_cache"),
}
"""In the order of the table."""
