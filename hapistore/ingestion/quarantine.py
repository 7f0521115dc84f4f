"""Images left out of a dataset, and why.

A report belongs to the version that its ingest made, and says what that ingest left out. Reports never change; what is
outstanding follows from them: as of a version, a key is outstanding if an ingest up to then left it out and the version
does not have it. The latest report that names it says why. So an ingest of another source hides nothing, an image that
was mended and ingested is gone from the list, and one that is stored is not on it, whatever became of its file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hapistore_format import (
    DatasetVersion,
    FormatError,
    file_digest,
    read_sealed_json,
    write_sealed_json,
)
from hapistore_format.sealed_json import take

from ..catalog import open_version
from ..catalog.names import quarantine_name
from ..catalog.reading import read_object
from ..stores import ObjectStore
from ..threads import map_ahead
from .annotation_rows import read_annotations
from .small_objects import SmallObjects

_THREADS, _AHEAD = 8, 32


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """One image that could not be taken: its key, a reason code (see ImageError) and the detail."""

    key: str
    reason: str
    detail: str


def store_quarantine(small: SmallObjects, dataset: str, images: Sequence[Quarantined]) -> str:
    """Write the report beside the dataset's versions; returns the digest it is named by."""
    data = write_sealed_json({"format": 1, "images": [asdict(image) for image in images]})
    digest = file_digest(data)
    small.store(quarantine_name(dataset, digest), data)
    return digest


def load_quarantine(store: ObjectStore, version: DatasetVersion) -> list[Quarantined]:
    """What the ingest that made ``version`` left out.

    Raises:
        FormatError: the report is damaged, or none.
    """
    if version.quarantine is None:
        return []
    name = quarantine_name(version.dataset, version.quarantine)
    images = take(read_object(store, name, read_sealed_json), "images", list, where=name)
    return [_parse(image, name) for image in images]


def outstanding(store: ObjectStore, version: DatasetVersion) -> list[Quarantined]:
    """What any ingest up to ``version`` left out and ``version`` does not have, by key.

    Reads all versions up to this one, and its annotations.

    Raises:
        FormatError, NotFound: a version or a report is damaged, or gone.
    """
    earlier = map_ahead(
        lambda number: open_version(store, version.dataset, number),
        range(1, version.number), threads=_THREADS, ahead=_AHEAD, name="hapistore-quarantine",
    )  # fmt: skip
    reports: dict[str, DatasetVersion] = {}
    for each in (*earlier, version):
        if each.quarantine is not None:  # versions that only relabelled name their parent's report again
            reports.pop(each.quarantine, None)
            reports[each.quarantine] = each
    found: dict[str, Quarantined] = {}
    for reporting in reports.values():
        found |= {image.key: image for image in load_quarantine(store, reporting)}
    if found:
        for key in _live(store, version, found):
            del found[key]
    return [found[key] for key in sorted(found)]


def _live(store: ObjectStore, version: DatasetVersion, keys: Iterable[str]) -> Iterator[str]:
    """Those of the keys that the version has."""
    wanted = pa.array(keys, pa.string())
    for shard in version.shards:
        table = read_annotations(store, shard)
        chosen = pc.and_(pc.is_in(table["key"], value_set=wanted), pc.invert(table["dropped"]))
        yield from table["key"].filter(chosen).to_pylist()


def _parse(image: Any, name: str) -> Quarantined:
    if not isinstance(image, dict):
        raise FormatError("bad-field", f"an image is {image!r:.80}, expected an object", where=name)
    key, reason, detail = (take(image, member, str, where=name) for member in ("key", "reason", "detail"))
    return Quarantined(key=key, reason=reason, detail=detail)
