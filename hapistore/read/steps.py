"""How the order of an epoch is cut into training batches, and these among ranks."""

from __future__ import annotations

from dataclasses import dataclass

LAST = ("keep", "drop", "pad")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The training steps of an epoch: all ranks together read a global batch in each.

    Attributes:
        rows: of an epoch, over all ranks; start: so many of them have been read.
        global_batch: rows of a step, over all ranks.
        ranks: each takes its slice of every global batch, so that all have equally many steps.
        last: what becomes of a last global batch that is short: ``keep``, ``drop``, or ``pad`` with the epoch's first
            rows.
    """

    rows: int
    global_batch: int
    ranks: int = 1
    last: str = "keep"
    start: int = 0

    @property
    def count(self) -> int:
        """How many steps there are, the same for every rank."""
        whole, rest = divmod(max(0, self.rows - self.start), self.global_batch)
        return whole + (rest > 0 and self.last != "drop")

    def span(self, step: int, rank: int) -> tuple[int, int]:
        """First position of a rank's slice of a step, and the one after its last.

        Under ``pad`` these may be beyond the epoch's rows, and mean its first ones again.
        """
        first = self.start + step * self.global_batch
        size = self.global_batch if self.last == "pad" else min(self.global_batch, self.rows - first)
        return first + rank * size // self.ranks, first + (rank + 1) * size // self.ranks

    def padding(self, step: int, rank: int) -> int:
        """How many positions of a rank's slice are beyond the epoch's rows."""
        first, stop = self.span(step, rank)
        return max(0, stop - max(first, self.rows))

    def position(self, step: int) -> int:
        """Rows of the epoch that have been read with this step."""
        return min(self.rows, self.start + (step + 1) * self.global_batch)
