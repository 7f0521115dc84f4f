"""What was left out as a table in a file, for other tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ..appearing import appearing, check_free
from ..errors import UsageError
from .quarantine import Quarantined

_SCHEMA = pa.schema([("key", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


def export_quarantine(images: Sequence[Quarantined], path: Path) -> None:
    """Write columns key, reason and detail, a row an image.

    Args:
        path: ends in ``.csv``, ``.jsonl`` or ``.parquet``.

    Raises:
        UsageError: it does not, or a file is there already; nothing was written.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(f"{path} ends in {path.suffix or 'nothing'}, expected {', '.join(_WRITERS)}")
    check_free(path)
    rows = [asdict(image) for image in images]
    with appearing(path) as temporary:
        _WRITERS[path.suffix](pa.Table.from_pylist(rows, schema=_SCHEMA), temporary)


def _write_csv(table: pa.Table, path: Path) -> None:
    pa.csv.write_csv(table, path)


def _write_json_lines(table: pa.Table, path: Path) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


_WRITERS = {".csv": _write_csv, ".jsonl": _write_json_lines, ".parquet": _write_parquet}
