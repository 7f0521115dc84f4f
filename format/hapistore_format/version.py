"""Dataset versions: the only thing that is ever committed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .digests import is_digest
from .errors import FormatError
from .sealed_json import check_format, read_sealed_json, take, take_digest, write_sealed_json

LAYOUTS = ("arrow", "lmdb")
"""Of image shards."""
MAX_NUMBER = 99_999_999
"""Of a version: its file's name has eight digits."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def is_dataset_name(text: str) -> bool:
    """Dataset names are lower-case letters, digits, dots, dashes and underscores, 100 at most."""
    return _NAME.fullmatch(text) is not None and ".." not in text


@dataclass(frozen=True, kw_only=True)
class ShardRef:
    """One image shard of a version, with its annotations."""

    images: str
    annotations: str
    layout: str
    rows: int
    bytes: int

    @classmethod
    def from_json(cls, value: Any, *, where: str) -> ShardRef:
        if not isinstance(value, dict):
            raise FormatError("bad-field", f"a shard is {value!r:.80}, expected an object", where=where)
        shard = cls(
            images=take(value, "images", str, where=where),
            annotations=take(value, "annotations", str, where=where),
            layout=take(value, "layout", str, where=where),
            rows=take(value, "rows", int, where=where),
            bytes=take(value, "bytes", int, where=where),
        )
        if not (is_digest(shard.images) and is_digest(shard.annotations)):
            raise FormatError("bad-field", "a shard is named by what is no digest", where=where)
        if shard.layout not in LAYOUTS or shard.rows < 1 or shard.bytes < 1:
            raise FormatError("bad-field", f"shard {shard.images[:12]} has an impossible layout or size", where=where)
        return shard


@dataclass(frozen=True, kw_only=True)
class DatasetVersion:
    """An immutable list of image shards; ``pets@7`` is version 7 of pets.

    Attributes:
        created: ISO 8601, UTC.
        quarantined: how many images of the source were left out; ``quarantine`` names the report.
    """

    dataset: str
    number: int
    created: str
    shards: tuple[ShardRef, ...]
    quarantined: int = 0
    quarantine: str | None = None

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def size_bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)

    @property
    def label(self) -> str:
        """``name@number``."""
        return f"{self.dataset}@{self.number}"

    def serialise(self) -> bytes:
        """The version file."""
        value: dict[str, Any] = {
            "format": 1,
            "dataset": self.dataset,
            "version": self.number,
            "created": self.created,
            "shards": [vars(shard) for shard in self.shards],
        }
        if self.quarantine is not None:
            value |= {"quarantined": self.quarantined, "quarantine": self.quarantine}
        return write_sealed_json(value)

    @classmethod
    def parse(cls, data: bytes | memoryview, *, where: str) -> DatasetVersion:
        """Read a version file.

        Raises:
            DamagedError: its hash does not match.
            FormatError: it is not what the format allows.
        """
        value = read_sealed_json(data, where=where)
        check_format(value, 1, where=where)
        dataset = take(value, "dataset", str, where=where)
        number = take(value, "version", int, where=where)
        created = take(value, "created", str, where=where)
        if not is_dataset_name(dataset) or not 1 <= number <= MAX_NUMBER or not created.isprintable():
            raise FormatError(
                "bad-field", f"it is {dataset!r:.80}, version {number!r:.20}, of {created!r:.80}", where=where
            )
        quarantine = take_digest(value, "quarantine", where=where) if "quarantine" in value else None
        return cls(
            dataset=dataset,
            number=number,
            created=created,
            shards=tuple(ShardRef.from_json(s, where=where) for s in take(value, "shards", list, where=where)),
            quarantined=take(value, "quarantined", int, where=where) if quarantine else 0,
            quarantine=quarantine,
        )
