"""What ``datasets.Dataset.save_to_disk`` leaves: a folder of Arrow streams, or one such folder a subset."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...errors import UsageError
from .image_tables import ImageTables
from .subset_names import subset_called

_STATE, _SPLITS = "state.json", "dataset_dict.json"


class ArrowStream:
    """One file, mapped into memory; see ``Part``."""

    def __init__(self, path: Path, subset: str | None) -> None:
        self._path = path
        self.name, self.subset = str(path), subset

    def schema(self) -> pa.Schema:
        with pa.memory_map(self.name) as file, pa.ipc.open_stream(file) as stream:
            return stream.schema

    def bytes_per_row(self) -> int:
        with pa.memory_map(self.name) as file, pa.ipc.open_stream(file) as stream:
            batch = next(iter(stream), None)
            return int(batch.nbytes // batch.num_rows) if batch is not None and batch.num_rows else 0

    def batches(self, columns: list[str], *, rows: int) -> Iterator[pa.RecordBatch]:
        top = list(dict.fromkeys(name if name in self.schema().names else name.partition(".")[0] for name in columns))
        with pa.memory_map(self.name) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                batch.validate(full=True)  # before it is cut: a mapped file's offsets may point anywhere
                chosen = batch.select(top)
                for start in range(0, chosen.num_rows, rows):
                    yield chosen.slice(start, rows)


def is_saved_dataset(folder: str | os.PathLike[str]) -> bool:
    """Whether ``save_to_disk`` wrote a folder."""
    return any((Path(folder) / name).is_file() for name in (_STATE, _SPLITS))


def saved_dataset(
    folder: str | os.PathLike[str],
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    subset_column: str | None = None,
) -> ImageTables:
    """A folder that Hugging Face's ``save_to_disk`` wrote, as a source; see ImageTables for keys and labels.

    Raises:
        UsageError: it is none, or is not whole.
    """
    root = Path(folder)
    if not is_saved_dataset(root):
        raise UsageError(f"source {root} has no {_STATE} and no {_SPLITS}; expected what save_to_disk writes")
    parts = []
    if (root / _SPLITS).is_file():
        for split in _names(root / _SPLITS, "splits"):
            parts += _streams(root / split, subset_called(split))
    else:
        parts = _streams(root, None)
    if not parts:
        raise UsageError(f"source {root} has no data files")
    return ImageTables(str(root), parts, image=image_column, label=label_column, subset=subset_column)


def _streams(folder: Path, subset: str | None) -> list[ArrowStream]:
    return [ArrowStream(folder / name, subset) for name in _names(folder / _STATE, "_data_files", "filename")]


def _names(path: Path, member: str, inner: str | None = None) -> list[str]:
    """Names of files or folders that a JSON file lists; none leads elsewhere."""
    try:
        listed: Any = json.loads(path.read_bytes())[member]
        names = [entry[inner] for entry in listed] if inner else list(listed)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"source {path} cannot be read: it has no list {member!r} ({error})") from error
    for name in names:
        if not isinstance(name, str) or name != os.path.basename(name) or name in ("", ".", ".."):  # noqa: PTH119
            raise UsageError(f"source {path} names {name!r:.200}, expected files beside it")
        if not (path.parent / name).exists():
            raise UsageError(f"source {path} names {name}, which is not there")
    return names
