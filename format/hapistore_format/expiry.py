"""Expiry markers: a version's own object never changes, so that it is given up stands in one beside it."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import FormatError
from .sealed_json import check_format, read_sealed_json, take, write_sealed_json
from .version import MAX_NUMBER, is_dataset_name


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """Says that one version is given up: it is not opened any more, and what only it names may be removed.

    Attributes:
        expired: ISO 8601, UTC.
    """

    dataset: str
    number: int
    expired: str

    def serialise(self) -> bytes:
        """The marker's file."""
        return write_sealed_json(
            {"format": 1, "dataset": self.dataset, "version": self.number, "expired": self.expired}
        )

    @classmethod
    def parse(cls, data: bytes | memoryview, *, where: str) -> Expiry:
        """Read a marker.

        Raises:
            DamagedError: its hash does not match.
            FormatError: it is not what the format allows.
        """
        value = read_sealed_json(data, where=where)
        check_format(value, 1, where=where)
        expiry = cls(
            dataset=take(value, "dataset", str, where=where),
            number=take(value, "version", int, where=where),
            expired=take(value, "expired", str, where=where),
        )
        possible = is_dataset_name(expiry.dataset) and 1 <= expiry.number <= MAX_NUMBER
        if not possible or not expiry.expired.isprintable():
            raise FormatError(
                "bad-field",
                f"it is of {expiry.dataset!r:.80}, version {expiry.number!r:.20}, {expiry.expired!r:.80}",
                where=where,
            )
        return expiry
