"""What a reader spent its time on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

STAGES = ("fetch", "decode", "gather", "wait")


@dataclass
class ReadStats:
    """Counts since a reader was made.

    Attributes:
        seconds: by stage: ``fetch`` (getting shards), ``decode`` (checking and decompressing them) and ``gather`` (rows
            into training batches) are of several threads at a time; ``wait`` is how long the caller waited.
        rows, batches: handed out; shards: opened.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    rows: int = 0
    batches: int = 0
    shards: int = 0

    def copy(self) -> ReadStats:
        """As it is now."""
        return replace(self, seconds=dict(self.seconds))
