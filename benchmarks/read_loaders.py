"""Loader libraries: how each stores float16 features with labels, and iterates over shuffled epochs of them.

``write_…(real features, rows, folder)`` and ``read_…(folder, loader workers)``. What is read are features and labels,
float32 torch tensors [256, *shape] and int64 [256]. Settings are those that each documents as the fastest for local
data.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .read_data import BATCH, half_chunks, half_samples, label_of, spans, varied
from .torchvision_shim import import_torchvision

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def loader_of(dataset: Any, workers: int, **more: Any) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(dataset, num_workers=workers, persistent_workers=workers > 0, **more)


def collate(samples: list[tuple[np.ndarray, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    features, labels = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(features).astype(np.float32)), torch.tensor(labels)


def write_litdata(real: np.ndarray, rows: int, folder: Path, *, chunk_bytes: int = 64 << 20) -> None:
    from litdata import optimize

    np.save(folder.parent / "real.npy", real)
    optimize(
        LitdataChunk(folder.parent / "real.npy"),
        spans(rows),
        str(folder),
        num_workers=2,
        chunk_bytes=chunk_bytes,
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


def read_litdata(folder: Path, workers: int) -> Batches:
    from litdata import StreamingDataLoader, StreamingDataset

    dataset = StreamingDataset(str(folder), shuffle=True)
    loader = StreamingDataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=collate)
    while True:
        yield from loader


def write_mosaicml(real: np.ndarray, rows: int, folder: Path, *, chunk_bytes: int = 64 << 20) -> None:
    import_torchvision()
    from streaming import MDSWriter

    shape = ",".join(map(str, real.shape[1:]))
    columns = {"features": f"ndarray:float16:{shape}", "label": "int"}
    with MDSWriter(out=str(folder), columns=columns, size_limit=chunk_bytes, progress_bar=False) as writer:
        for _, features, label in half_samples(real, rows):
            writer.write({"features": features, "label": label})


def collate_named(samples: list[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    return collate([(sample["features"], sample["label"]) for sample in samples])


def read_mosaicml(folder: Path, workers: int) -> Batches:
    import_torchvision()
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH)
    loader = loader_of(dataset, workers, batch_size=BATCH, collate_fn=collate_named)
    while True:
        yield from loader


def write_webdataset(real: np.ndarray, rows: int, folder: Path) -> None:
    from webdataset import ShardWriter

    folder.mkdir()
    with ShardWriter(f"{folder}/%06d.tar", maxsize=64 << 20, maxcount=1 << 30, verbose=0) as writer:
        for number, features, label in half_samples(real, rows):
            writer.write({"__key__": f"{number:08}", "npy": features, "cls": label})


def read_webdataset(folder: Path, workers: int) -> Batches:
    import webdataset

    tars = sorted(map(str, folder.glob("*.tar")))
    dataset = (
        webdataset.WebDataset(tars, shardshuffle=len(tars), empty_check=False)
        .shuffle(5000)
        .decode()
        .to_tuple("npy", "cls")
        .batched(BATCH, collation_fn=collate)
    )
    loader = webdataset.WebLoader(dataset, batch_size=None, num_workers=workers)
    while True:
        yield from loader


def write_lance(real: np.ndarray, rows: int, folder: Path) -> None:
    import lance
    import pyarrow as pa

    width = int(np.prod(real.shape[1:]))
    schema = pa.schema([("features", pa.list_(pa.float16(), width)), ("label", pa.int64())])

    def tables() -> Iterator[pa.RecordBatch]:
        for features, labels in half_chunks(real, rows):
            lists = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), width)
            yield pa.record_batch([lists, pa.array(labels)], schema=schema)

    lance.write_dataset(tables(), str(folder), schema=schema)


def read_lance(folder: Path, workers: int) -> Batches:
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


def write_huggingface(real: np.ndarray, rows: int, folder: Path) -> None:
    from datasets import Dataset, Features, Sequence, Value, concatenate_datasets, disable_progress_bars

    disable_progress_bars()
    width = int(np.prod(real.shape[1:]))
    kinds = Features({"features": Sequence(Value("float16"), length=width), "label": Value("int64")})
    parts = [
        Dataset.from_dict({"features": features.reshape(len(features), -1), "label": labels}, kinds)
        for features, labels in half_chunks(real, rows)
    ]
    concatenate_datasets(parts).save_to_disk(str(folder))


def read_huggingface(folder: Path, workers: int) -> Batches:
    from datasets import load_from_disk
    from torch.utils.data import BatchSampler, RandomSampler

    dataset = load_from_disk(str(folder)).with_format("torch")
    sampler = BatchSampler(RandomSampler(dataset), BATCH, drop_last=False)
    loader = loader_of(dataset, workers, sampler=sampler, batch_size=None)
    while True:
        for batch in loader:
            yield batch["features"].float(), batch["label"]


def write_ffcv(real: np.ndarray, rows: int, folder: Path) -> None:
    """Its halves go by as integers: what it compiles does not know float16."""
    import_torchvision()
    from ffcv.fields import IntField, NDArrayField
    from ffcv.writer import DatasetWriter

    features = np.load(folder.parent / "numpy-memmap" / "features.npy", mmap_mode="r")
    folder.mkdir()
    fields = {"features": NDArrayField(np.dtype(np.int16), features.shape[1:]), "label": IntField()}
    writer = DatasetWriter(str(folder / "features.beton"), fields, num_workers=1)
    writer.from_indexed_dataset(FFCVRows(features))


class FFCVRows:
    """Rows of a memory map with their labels, by number."""

    def __init__(self, features: np.ndarray) -> None:
        self._features = features

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
        return self._features[row].view(np.int16), int(label_of(np.array(row)))


def read_ffcv(folder: Path, workers: int) -> Batches:
    """Its batches are its own ring of memory; ``float()`` copies them out of it."""
    import_torchvision()
    from ffcv.fields.decoders import IntDecoder, NDArrayDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import Squeeze, ToTensor

    loader = Loader(
        str(folder / "features.beton"),
        batch_size=BATCH,
        num_workers=workers,
        order=OrderOption.RANDOM,
        os_cache=True,
        pipelines={"features": [NDArrayDecoder(), ToTensor()], "label": [IntDecoder(), ToTensor(), Squeeze()]},
    )
    while True:
        for features, labels in loader:
            yield features.view(torch.float16).float(), labels
