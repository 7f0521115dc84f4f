"""How to ingest."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from hapistore_format import LAYOUTS

from ..errors import UsageError
from .reading import CHECKS


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        shard_bytes: a shard is closed before its images, and 128 bytes a row, exceed this; 64 MiB is large enough
            for a link and small enough to repeat.
        layout: of new image shards: ``arrow`` streams and is read by any Arrow tool, ``lmdb`` is memory-mapped by
            its key; `hapistore convert` changes it later.
        check: ``header`` takes JPEGs and PNGs of usual form that end as they should by what they say of themselves,
            and decodes all others; ``full`` decodes every image, at a tenth of the speed.
        on_error: ``quarantine`` reports unusable images and keeps the rest, ``fail`` stops at the first.
        mirror: also drop records that the source does not have (any more). Their images stay for older versions.
        threads: how many images are read and checked at once.
    """

    shard_bytes: int = 64 << 20
    layout: str = "arrow"
    check: str = "header"
    on_error: str = "quarantine"
    mirror: bool = False
    threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

    def __post_init__(self) -> None:
        if self.shard_bytes < 1 or self.threads < 1:
            raise UsageError("the shard size and the number of threads are at least 1")
        for name, allowed in (("layout", LAYOUTS), ("check", CHECKS), ("on_error", ("quarantine", "fail"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}, expected {' or '.join(allowed)}")
