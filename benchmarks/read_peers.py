"""What hands shuffled training batches of stored features to a training loop: hapistore, and what people use.

For each a function that writes the features and one that iterates over epochs of (features, labels): float32 torch
tensors [256, *shape] and int64 [256]. Who cannot quantise stores float16. Settings are the ones that each documents as
the fastest for local data; of the numbers of loader workers 0 and 2, both are tried and the better one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .read_data import label_of, open_many, spans, varied

BATCH = 256
Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


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


def _chunks(real: np.ndarray, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All rows, shard by shard: float16 and labels."""
    for start, count in spans(rows):
        yield varied(real, start, count).astype(np.float16), label_of(np.arange(start, start + count))


def _samples(real: np.ndarray, rows: int) -> Iterator[tuple[int, np.ndarray, int]]:
    number = 0
    for features, labels in _chunks(real, rows):
        for row, label in zip(features, labels.tolist(), strict=True):
            yield number, row, label
            number += 1


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
    for features, _ in _chunks(real, rows):
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


# loader libraries


def _loader(dataset: Any, workers: int, **more: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(dataset, num_workers=workers, persistent_workers=workers > 0, **more)


def _collate(samples: list[tuple[np.ndarray, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    features, labels = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(features).astype(np.float32)), torch.tensor(labels)


def _write_litdata(real: np.ndarray, rows: int, folder: Path) -> None:
    from litdata import optimize

    np.save(folder.parent / "real.npy", real)
    optimize(
        LitdataChunk(folder.parent / "real.npy"),
        spans(rows),
        str(folder),
        num_workers=2,
        chunk_bytes="64MB",
        verbose=False,
    )


class LitdataChunk:
    """Makes the samples of a shard, in a process of LitData's."""

    def __init__(self, real: Path) -> None:
        self._real = real

    def __call__(self, span: tuple[int, int]) -> Iterator[tuple[np.ndarray, int]]:
        start, count = span
        features = varied(np.load(self._real, mmap_mode="r"), start, count).astype(np.float16)
        yield from zip(features, label_of(np.arange(start, start + count)).tolist(), strict=True)


def _litdata(folder: Path, workers: int) -> Batches:
    from litdata import StreamingDataLoader, StreamingDataset

    dataset = StreamingDataset(str(folder), shuffle=True)
    loader = StreamingDataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=_collate)
    while True:
        yield from loader


def _write_mosaicml(real: np.ndarray, rows: int, folder: Path) -> None:
    from .torchvision_shim import import_torchvision

    import_torchvision()  # streaming does
    from streaming import MDSWriter

    shape = ",".join(map(str, real.shape[1:]))
    columns = {"features": f"ndarray:float16:{shape}", "label": "int"}
    with MDSWriter(out=str(folder), columns=columns, size_limit=64 << 20, progress_bar=False) as writer:
        for _, features, label in _samples(real, rows):
            writer.write({"features": features, "label": label})


def _collate_named(samples: list[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    return _collate([(sample["features"], sample["label"]) for sample in samples])


def _mosaicml(folder: Path, workers: int) -> Batches:
    from .torchvision_shim import import_torchvision

    import_torchvision()
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH)
    loader = _loader(dataset, workers, batch_size=BATCH, collate_fn=_collate_named)
    while True:
        yield from loader


def _write_webdataset(real: np.ndarray, rows: int, folder: Path) -> None:
    from webdataset import ShardWriter

    folder.mkdir()
    with ShardWriter(f"{folder}/%06d.tar", maxsize=64 << 20, maxcount=1 << 30, verbose=0) as writer:
        for number, features, label in _samples(real, rows):
            writer.write({"__key__": f"{number:08}", "npy": features, "cls": label})


def _webdataset(folder: Path, workers: int) -> Batches:
    import webdataset

    tars = sorted(map(str, folder.glob("*.tar")))
    dataset = (
        webdataset.WebDataset(tars, shardshuffle=len(tars), empty_check=False)
        .shuffle(5000)
        .decode()
        .to_tuple("npy", "cls")
        .batched(BATCH, collation_fn=_collate)
    )
    loader = webdataset.WebLoader(dataset, batch_size=None, num_workers=workers)
    while True:
        yield from loader


def _write_lance(real: np.ndarray, rows: int, folder: Path) -> None:
    import lance
    import pyarrow as pa

    width = int(np.prod(real.shape[1:]))
    schema = pa.schema([("features", pa.list_(pa.float16(), width)), ("label", pa.int64())])

    def tables() -> Iterator[pa.RecordBatch]:
        for features, labels in _chunks(real, rows):
            lists = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), width)
            yield pa.record_batch([lists, pa.array(labels)], schema=schema)

    lance.write_dataset(tables(), str(folder), schema=schema)


def _lance(folder: Path, workers: int) -> Batches:
    import lance

    dataset = lance.dataset(str(folder))
    count = dataset.count_rows()
    while True:
        order = np.random.permutation(count)
        for start in range(0, count, BATCH):
            table = dataset.take(np.sort(order[start : start + BATCH]))
            values = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            features = values.reshape(len(table), -1).astype(np.float32)
            yield torch.from_numpy(features), torch.from_numpy(table["label"].to_numpy().copy())


def _write_huggingface(real: np.ndarray, rows: int, folder: Path) -> None:
    from datasets import Dataset, Features, Sequence, Value, concatenate_datasets, disable_progress_bars

    disable_progress_bars()
    width = int(np.prod(real.shape[1:]))
    kinds = Features({"features": Sequence(Value("float16"), length=width), "label": Value("int64")})
    parts = [
        Dataset.from_dict({"features": features.reshape(len(features), -1), "label": labels}, kinds)
        for features, labels in _chunks(real, rows)
    ]
    concatenate_datasets(parts).save_to_disk(str(folder))


def _huggingface(folder: Path, workers: int) -> Batches:
    from datasets import load_from_disk
    from torch.utils.data import BatchSampler, RandomSampler

    dataset = load_from_disk(str(folder)).with_format("torch")
    sampler = BatchSampler(RandomSampler(dataset), BATCH, drop_last=False)
    loader = _loader(dataset, workers, sampler=sampler, batch_size=None)
    while True:
        for batch in loader:
            yield batch["features"].float(), batch["label"]


PEERS: dict[str, Peer] = {
    "hapistore": Peer(None, _hapistore, (0,), "FeaturePipe as it comes", loader=False, buckets=True),
    "numpy memmap": Peer(_write_npy, _memmap, (0,), "f16, fancy indexing, astype", loader=False),
    "torch tensor in memory": Peer(None, _tensor, (0,), "float32, indexing", loader=False),
    "LitData": Peer(_write_litdata, _litdata, (0, 2), "f16, shuffle=True, 64 MB chunks", buckets=True),
    "MosaicML Streaming": Peer(_write_mosaicml, _mosaicml, (0, 2), "f16 ndarray columns, shuffle=True", buckets=True),
    "WebDataset": Peer(_write_webdataset, _webdataset, (0, 2), "f16 .npy, shuffle(5000), batched", buckets=True),
    "Lance": Peer(_write_lance, _lance, (0,), "f16 fixed-size lists, take() of sorted random rows", buckets=True),
    "Hugging Face datasets": Peer(
        _write_huggingface, _huggingface, (0, 2), "f16, batched random indices", buckets=True
    ),
}
"""In the order of the table. FFCV is not among them: it has no wheels, and its source does not build here."""
