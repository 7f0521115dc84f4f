"""What ingest asks of a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All records a source has, before any image is read.

    Attributes:
        annotations: one row a record: ``key``, ``label``, ``subset``, then metadata columns, types final. A column
            of Arrow's type null says nothing: where a record is known already, what is stored of it stays.
        paths: where each record's image lies.
        ignored: how many files were passed over, by reason.
    """

    annotations: pa.Table
    paths: list[Path]
    ignored: dict[str, int] = field(default_factory=dict)


class Source(Protocol):
    """A source lists the same records in the same order as long as it is not changed."""

    def listing(self) -> Listing:
        """Everything there is to ingest.

        Raises:
            UsageError: the source is missing, empty or not of this kind.
        """
