"""The seal of a file that cannot hold its own: a sealed JSON object beside it.

An LMDB file belongs to LMDB from its first page to its last, so its checksums stand in an object of
their own: one XXH3-128 for every span of the file, and SHA-256 over those. Spans cover the file
without gaps, so no bit is outside; LMDB, which trusts its pages, sees none before it is checked.
"""

from __future__ import annotations

from dataclasses import dataclass

import xxhash

from .errors import DamagedError, FormatError
from .sealed_json import check_format, read_sealed_json, take, take_digest, write_sealed_json

_SPAN_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class FileSeal:
    """Size and checksums of one image shard's file.

    Attributes:
        images: digest of the shard that the file holds.
        file_bytes: size of the file; span_bytes: of a span, of which the last may be shorter.
        checksums: XXH3-128 of each span, as 32 hexadecimal digits.
    """

    images: str
    file_bytes: int
    span_bytes: int
    checksums: tuple[str, ...]

    @classmethod
    def of(cls, data: memoryview, *, images: str) -> FileSeal:
        """Seal of a file with these bytes."""
        return cls(images=images, file_bytes=len(data), span_bytes=_SPAN_BYTES, checksums=_checksums(data, _SPAN_BYTES))

    def serialise(self) -> bytes:
        """The object that lies beside the file."""
        return write_sealed_json(
            {
                "format": 1,
                "images": self.images,
                "bytes": self.file_bytes,
                "span_bytes": self.span_bytes,
                "xxh3_128": self.checksums,
            }
        )

    @classmethod
    def parse(cls, data: bytes | memoryview, *, where: str) -> FileSeal:
        """Read the object.

        Raises:
            DamagedError: its own hash does not match.
            FormatError: it is not what the format allows.
        """
        value = read_sealed_json(data, where=where)
        check_format(value, 1, where=where)
        seal = cls(
            images=take_digest(value, "images", where=where),
            file_bytes=take(value, "bytes", int, where=where),
            span_bytes=take(value, "span_bytes", int, where=where),
            checksums=tuple(take(value, "xxh3_128", list, where=where)),
        )
        if seal.file_bytes < 1 or seal.span_bytes < 1 or not all(isinstance(c, str) for c in seal.checksums):
            raise FormatError("bad-field", "it names an impossible size or checksum", where=where)
        if len(seal.checksums) != -(-seal.file_bytes // seal.span_bytes):
            raise FormatError("bad-field", f"{len(seal.checksums)} checksums do not cover the file", where=where)
        return seal

    def check(self, data: memoryview, *, where: str) -> None:
        """Compare a file with its seal, every byte of it.

        Raises:
            DamagedError: ``bad-block``, naming the span.
        """
        if len(data) != self.file_bytes:
            raise DamagedError("bad-block", f"it has {len(data)} bytes, its seal says {self.file_bytes}", where=where)
        for number, checksum in enumerate(_checksums(data, self.span_bytes)):
            if checksum != self.checksums[number]:
                start = number * self.span_bytes
                end = min(start + self.span_bytes, self.file_bytes)
                raise DamagedError("bad-block", f"bytes {start} to {end} fail their checksum", where=where)


def _checksums(data: memoryview, span: int) -> tuple[str, ...]:
    return tuple(xxhash.xxh3_128_hexdigest(data[start : start + span]) for start in range(0, len(data), span))
