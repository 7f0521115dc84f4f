"""The verb: a view as a file that other tools read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hapistore_format import SUBSETS, AnnotationShard

from ..appearing import appearing, check_free
from ..catalog import View
from ..catalog.names import annotations_name
from ..catalog.reading import read_object
from ..errors import UsageError
from .shards import OpenShards

FORMATS = (".parquet", ".npy")


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What an export wrote: rows, and the files with their size."""

    rows: int
    files: tuple[Path, ...]
    bytes: int


def export_view(
    view: View, path: Path, *, subset: str | None = None, on_progress: Callable[[int, int], None] | None = None
) -> ExportResult:
    """Write a view's rows, in order, without the dropped ones and those that have no features.

    ``FILE.parquet``: key, label, subset, the metadata columns, and ``features`` as float32 lists of fixed length,
    row-major. ``FILE.npy``: float32 [rows, *shape], and ``FILE.annotations.parquet`` with the other columns beside it.

    Args:
        subset: ``train``, ``val``, ``test``, or None for all rows.
        on_progress: called with (image shards done, image shards in all).

    Raises:
        UsageError: the ending is of no known kind, or a file is there already; nothing was written.
        FormatError: a shard is damaged.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"{path} ends in {path.suffix or 'nothing'}, expected {' or '.join(FORMATS)}")
    if subset is not None and subset not in SUBSETS:
        raise UsageError(f"subset is {subset!r}, expected {', '.join(SUBSETS)} or None for all")
    table_path = path if path.suffix == ".parquet" else path.with_suffix(".annotations.parquet")
    for file in {path, table_path}:
        check_free(file)
    tables = [_live(view, number, subset) for number in range(len(view.version.shards))]
    rows = sum(len(chosen) for _, chosen in tables)
    if not rows:
        raise UsageError(f"{view.version.label} has no rows in subset {subset}")
    if path.suffix == ".parquet":
        with appearing(path) as temporary:
            _write_parquet(view, tables, temporary, on_progress)
    else:
        with appearing(path) as temporary, appearing(table_path) as beside:
            _write_npy(view, tables, rows, temporary, on_progress)
            pq.write_table(pa.concat_tables([table for table, _ in tables], promote_options="default"), beside)
    files = tuple(sorted({path, table_path}))
    return ExportResult(rows=rows, files=files, bytes=sum(file.stat().st_size for file in files))


def _live(view: View, number: int, subset: str | None) -> tuple[pa.Table, np.ndarray]:
    """Annotations of those of a shard's chosen rows that have features, and these rows' numbers."""
    name = annotations_name(view.version.shards[number].annotations)
    table = read_object(view.store, name, AnnotationShard).table
    kept = ~table["dropped"].to_numpy(zero_copy_only=False)
    if subset is not None:
        kept &= np.array([value == subset for value in table["subset"].to_pylist()])
    kept[[row for row, _ in view.missing.get(number, ())]] = False
    rows = np.flatnonzero(kept).astype(np.int64)
    return table.drop_columns(["dropped"]).take(rows), rows


def _features(view: View, tables: list[tuple[pa.Table, np.ndarray]]) -> Iterator[np.ndarray]:
    """Features of the chosen rows of each shard in turn: float32 [k, *shape]."""
    shards = OpenShards(view, memory_bytes=1)  # each shard is read once
    for number, (_, rows) in enumerate(tables):
        opened = shards.get(number)
        out = np.empty((len(rows), *view.shape), np.float32)
        opened.reader.gather(opened.stored, rows, out)
        yield out


def _write_parquet(
    view: View,
    tables: list[tuple[pa.Table, np.ndarray]],
    path: Path,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    kind = pa.list_(pa.float32(), int(np.prod(view.shape)))
    schema = pa.unify_schemas([table.schema for table, _ in tables]).append(pa.field("features", kind))
    schema = schema.with_metadata({**view.identity, "shape": str(list(view.shape))})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for number, ((table, rows), features) in enumerate(zip(tables, _features(view, tables), strict=True), 1):
            if len(rows):
                lists = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), kind.list_size)
                columns = [
                    table[field.name] if field.name in table.column_names else pa.nulls(len(rows), field.type)
                    for field in schema
                    if field.name != "features"
                ]
                writer.write_table(pa.table([*columns, lists], schema=schema))
            if on_progress:
                on_progress(number, len(tables))


def _write_npy(
    view: View,
    tables: list[tuple[pa.Table, np.ndarray]],
    rows: int,
    path: Path,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, *view.shape))
    done = 0
    for number, features in enumerate(_features(view, tables), 1):
        array[done : done + len(features)] = features
        done += len(features)
        if on_progress:
            on_progress(number, len(tables))
    array.flush()
