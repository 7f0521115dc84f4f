"""Records that a program makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .column_types import ColumnTypes
from .keys import problem_of_key
from .protocol import Chunk, ImageRef, Listing

_HELD_BYTES, _HELD_ROWS = 8 << 20, 64
_ROWS = 1024

Record = Mapping[str, Any] | tuple[Any, ...]


class ImageRecords:
    """What an iterable yields, in its order, taken while images are stored.

    Args:
        records: mappings ``{"image": bytes or path, "key": str, "label": …, "subset": …, …}``, all but image and key
            optional; or tuples ``(key, image)`` and ``(key, image, label)``. Types of further values are found out
            and must go together: int beside float is float, None is beside anything. A list or another iterable that
            starts over is taken again where another writer came first; of a generator that cannot be, and then the
            ingest ends and says so.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        if isinstance(records, (str, bytes, Mapping)):
            raise UsageError(f"records are a {type(records).__name__}, expected an iterable of mappings or tuples")
        self._records = records
        self._taken = False

    def listing(self) -> Listing:
        if self._taken and iter(self._records) is self._records:
            raise UsageError(
                "these records can be taken only once, and are wanted again: another writer committed first, or "
                "subsets are stratified; hand over an iterable that starts over"
            )
        self._taken = True
        return Listing(chunks=self._chunks())

    def _chunks(self) -> Iterator[Chunk]:
        types = ColumnTypes("the records")
        rows: list[dict[str, Any]] = []
        images: list[ImageRef] = []
        held = number = 0
        for number, record in enumerate(self._records, 1):
            row, image = _take_apart(record, number)
            rows.append(row)
            images.append(image)
            held += 0 if isinstance(image, Path) else memoryview(image).nbytes  # type: ignore[arg-type]
            if held >= _HELD_BYTES or len(rows) == (_HELD_ROWS if held else _ROWS):
                yield Chunk(annotations=types.table(rows), images=images)
                rows, images, held = [], [], 0
        if rows:
            yield Chunk(annotations=types.table(rows), images=images)
        if not number:
            raise UsageError("there are no records; expected at least one")


def _take_apart(record: Any, number: int) -> tuple[dict[str, Any], ImageRef]:
    if isinstance(record, Mapping):
        row = dict(record)
        missing = [name for name in ("key", "image") if name not in row]
        if missing:
            raise UsageError(f"record {number} has no {missing[0]!r}; it has {', '.join(map(repr, row))[:200]}")
        image = row.pop("image")
    elif isinstance(record, tuple) and len(record) in (2, 3):
        row = {"key": record[0], **({"label": record[2]} if len(record) == 3 else {})}
        image = record[1]
    else:
        raise UsageError(
            f"record {number} is a {type(record).__name__}, expected a mapping with key and image, or a tuple "
            "(key, image) or (key, image, label)"
        )
    key = row["key"]
    if not isinstance(key, str):
        raise UsageError(f"record {number}: key is a {type(key).__name__}, expected text")
    problem = problem_of_key(key)
    if problem:
        raise UsageError(f"record {number}: key is {problem}: {key!r:.200}")
    return row, _image(image, key)


def _image(image: Any, key: str) -> ImageRef:
    if isinstance(image, (bytes, Path)):
        return image
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, str):
        return Path(image)
    kind = f"{type(image).__module__}.{type(image).__qualname__}"
    raise UsageError(
        f"record {key!r}: image is a {kind}, expected encoded bytes or a path; encode it first: "
        "file = io.BytesIO(); PIL.Image.fromarray(array).save(file, 'PNG'); file.getvalue()"
        if kind.startswith(("numpy.", "PIL.", "torch."))
        else f"record {key!r}: image is a {kind}, expected encoded bytes or a path"
    )


def image_records(records: Iterable[Record]) -> ImageRecords:
    """Any iterable of records as a source; see ImageRecords."""
    return ImageRecords(records)
