"""Images left out of a dataset, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hapistore_format import DatasetVersion, FormatError, file_digest, read_sealed_json, write_sealed_json
from hapistore_format.sealed_json import take

from ..catalog.names import quarantine_name
from ..catalog.reading import read_object
from ..stores import ObjectStore, ensure


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """One image that could not be taken: its key, a reason code (see ImageError) and the detail."""

    key: str
    reason: str
    detail: str


def store_quarantine(store: ObjectStore, dataset: str, images: Sequence[Quarantined]) -> str:
    """Write the report beside the dataset's versions; returns the digest it is named by."""
    data = write_sealed_json({"format": 1, "images": [asdict(image) for image in images]})
    digest = file_digest(data)
    ensure(store, quarantine_name(dataset, digest), data)
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


def _parse(image: Any, name: str) -> Quarantined:
    if not isinstance(image, dict):
        raise FormatError("bad-field", f"an image is {image!r:.80}, expected an object", where=name)
    key, reason, detail = (take(image, member, str, where=name) for member in ("key", "reason", "detail"))
    return Quarantined(key=key, reason=reason, detail=detail)
