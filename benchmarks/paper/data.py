"""What is trained on: photographs like ImageNet's, and ELPV's; in a store of hapistore's, and as single objects."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hapistore as hs
from hapistore.demo.photographs import write_manifest

from ..photographs import write_photographs
from .loading import Images, name_of

WARM, _WARM_IMAGES = "warm", 4
"""A dataset that is read only so that networks are loaded."""
_SHARDS_AT_LEAST = 4
_PHOTOGRAPHS_BYTES, _ELPV_BYTES = 4 << 20, 16 << 20
"""Of image shards, at most. Features of more images together take fewer bytes; 64 MiB would be two shards of ELPV's."""
_UPLOADS = 8


def loose(url: str, dataset: str) -> str:
    """The address of single images beside a store: another prefix of its bucket."""
    before, question, after = url.partition("?")
    return f"{before.rsplit('/', 1)[0]}/loose-{dataset}{question}{after}"


def photographs(folder: Path, counts: Sequence[int]) -> Callable[[str], None]:
    """Datasets ``photos-N`` of the first N photographs, each in some shards."""

    def fill(url: str) -> None:
        taken = folder / f"photographs-{max(counts)}"
        write_photographs(taken, max(counts))
        paths = sorted(taken.rglob("*.jpg"), key=lambda path: path.name)
        labelled = [(path, path.parent.name) for path in paths]
        for count in sorted(set(counts)):
            _put(url, folder, f"photos-{count}", labelled[:count], _PHOTOGRAPHS_BYTES)
        _put(url, folder, WARM, labelled[:_WARM_IMAGES], _PHOTOGRAPHS_BYTES)

    return fill


def elpv(folder: Path) -> Callable[[str], None]:
    """The dataset ``elpv``, whose photographs are under CC BY-NC-SA 4.0."""

    def fill(url: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder / "all.csv", seed=0)
        with open(folder / "all.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        labelled = [(Path(row["path"]), row["label"]) for row in rows]
        _put(url, folder, "elpv", labelled, _ELPV_BYTES)
        _put(url, folder, WARM, labelled[:_WARM_IMAGES], _ELPV_BYTES)

    return fill


def images(folder: Path, url: str, dataset: str, *, few: int | None = None) -> Images:
    """The single images of a dataset that was put in, at the store's own address or behind its door.

    Args:
        few: only so many of them are used; None: all.
    """
    with open(folder / f"{dataset}.csv", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    classes = {label: number for number, label in enumerate(sorted(set(labels)))}
    return Images(url=loose(url, dataset), labels=tuple(classes[label] for label in labels), few=few)


def _put(url: str, folder: Path, dataset: str, rows: Sequence[tuple[Path, str]], shard_bytes: int) -> None:
    with open(folder / f"{dataset}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "key"])
        writer.writerows([path, label, f"{number:06d}"] for number, (path, label) in enumerate(rows))
    size = sum(path.stat().st_size for path, _ in rows)
    options = hs.IngestOptions(shard_bytes=min(shard_bytes, size // _SHARDS_AT_LEAST + 1))
    hs.ingest(hs.open_store(url, sole_writer=True), dataset, hs.manifest(folder / f"{dataset}.csv"), options)
    bucket = hs.open_store(loose(url, dataset))
    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(lambda row: bucket.put(name_of(row[0]), row[1][0].read_bytes()), enumerate(rows)))
