"""Image shards: encoded images and what follows from their bytes. What every layout holds, and its reader offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from .digests import record_digest, shard_digest
from .errors import DamagedError

COLUMNS = pa.schema(
    [
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("orientation", pa.uint8(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("digest", pa.binary(32), nullable=False),
    ]
)
"""What is known of every image beside its bytes."""
SCHEMA = pa.schema([pa.field("image", pa.binary(), nullable=False), *COLUMNS])
MAX_IMAGE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One encoded image and what its header says (size before EXIF orientation)."""

    image: bytes | memoryview
    width: int
    height: int
    orientation: int
    format: str
    digest: bytes


class ImageShard(ABC):
    """Random access to the images of one shard, whatever its layout.

    Attributes:
        where: the object's name, for errors.
        digest: the shard's, as it claims; ``check_digests`` holds it against the images.
    """

    where: str
    digest: str

    @abstractmethod
    def __len__(self) -> int:
        """How many rows it has."""

    @abstractmethod
    def image(self, row: int) -> memoryview:
        """Encoded bytes (``B``) of ``row``; they stay readable when the reader is gone."""

    @abstractmethod
    def column(self, name: str) -> pa.ChunkedArray:
        """One column over all rows: ``width``, ``height``, ``orientation``, ``format`` or ``digest``."""

    def record_digests(self) -> list[bytes]:
        """Raw record digests in row order, as stored."""
        return [value.as_py() for value in self.column("digest")]

    def records(self) -> Iterator[ImageRecord]:
        """Every row as it was written, for writing it again."""
        columns = {name: self.column(name).to_pylist() for name in COLUMNS.names}
        for row in range(len(self)):
            values = {name: column[row] for name, column in columns.items()}
            yield ImageRecord(image=bytes(self.image(row)), **values)

    def check_digests(self) -> None:
        """Hash every image again.

        Raises:
            DamagedError: ``bad-digest``, naming the row.
        """
        stored = self.record_digests()
        for row, digest in enumerate(stored):
            if record_digest(self.image(row)) != digest:
                raise DamagedError("bad-digest", f"the image in row {row} is not the one named", where=self.where)
        if shard_digest(stored) != self.digest:
            raise DamagedError("bad-digest", "its records are not those of the shard it claims to be", where=self.where)
