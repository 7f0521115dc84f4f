"""What writes a folder of classes into a store: hapistore, and the tools people use. One function a tool.

Each imports its tool and returns the function that is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

SHARD_BYTES = 64 << 20
Write = Callable[[Path, Path], None]


def images(source: Path) -> Iterator[tuple[Path, str]]:
    """Each image with its class, in order of class and name."""
    for folder in sorted(source.iterdir()):
        for path in sorted(folder.iterdir()):
            yield path, folder.name


def hapistore() -> Write:
    import hapistore.ingestion
    import hapistore.stores

    def write(source: Path, target: Path) -> None:
        store = hapistore.stores.open_store(target)
        hapistore.ingestion.ingest(store, "photographs", hapistore.ingestion.image_folder(source))

    return write


def webdataset() -> Write:
    from webdataset import ShardWriter

    def write(source: Path, target: Path) -> None:
        target.mkdir()
        with ShardWriter(f"{target}/%06d.tar", maxsize=SHARD_BYTES, maxcount=1 << 30, verbose=0) as writer:
            for path, label in images(source):
                writer.write({"__key__": path.stem, "jpg": path.read_bytes(), "cls": label})

    return write


def litdata_sample(pair: tuple[str, str]) -> dict[str, object]:
    """What LitData's workers make of one image."""
    return {"image": Path(pair[0]).read_bytes(), "label": pair[1]}


def litdata() -> Write:
    from litdata import optimize

    def write(source: Path, target: Path) -> None:
        inputs = [(str(path), label) for path, label in images(source)]
        optimize(litdata_sample, inputs, str(target), num_workers=2, chunk_bytes=SHARD_BYTES, verbose=False)

    return write


def mosaicml() -> Write:
    from .torchvision_shim import import_torchvision

    import_torchvision()  # streaming does
    from streaming import MDSWriter

    def write(source: Path, target: Path) -> None:
        columns = {"image": "bytes", "label": "str"}
        with MDSWriter(out=str(target), columns=columns, size_limit=SHARD_BYTES, progress_bar=False) as writer:
            for path, label in images(source):
                writer.write({"image": path.read_bytes(), "label": label})

    return write


def huggingface() -> Write:
    from datasets import Dataset, Features, Image, Value, disable_progress_bars

    disable_progress_bars()

    def write(source: Path, target: Path) -> None:
        def samples() -> Iterator[dict[str, object]]:
            for path, label in images(source):
                yield {"image": {"bytes": path.read_bytes(), "path": path.name}, "label": label}

        # What it writes is an Arrow file in the cache folder, ready to be read.
        features = Features({"image": Image(), "label": Value("string")})
        Dataset.from_generator(samples, features=features, cache_dir=str(target))

    return write


WRITERS: dict[str, Callable[[], Write]] = {
    "hapistore": hapistore,
    "WebDataset ShardWriter": webdataset,
    "LitData optimize, 2 workers": litdata,
    "MosaicML MDSWriter": mosaicml,
    "Hugging Face datasets": huggingface,
}
