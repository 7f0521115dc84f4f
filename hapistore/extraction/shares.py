"""Extraction on several machines at once: what each begins with, and in which order it helps the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hapistore_format import ShardRef

from ..errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Share:
    """One of several extractions of the same features that run at once.

    They know nothing of each other but what is in the store.

    Attributes:
        number: this one's, from 1 on; of: how many there are.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(f"share {self.number} of {self.of}: shares are numbered from 1 to as many as there are")

    @staticmethod
    def parse(text: str) -> Share:
        """``2/3``: the second of three.

        Raises:
            UsageError: it is not of that form.
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal()):
            raise UsageError(f"share {text!r}: expected a number and how many there are, such as 2/3")
        return Share(number=int(number), of=int(of))

    def divide(self, shards: Sequence[ShardRef]) -> tuple[list[ShardRef], list[ShardRef]]:
        """Image shards to begin with, a run of them with about as many rows as any other's; and the others'.

        The others' come in the order in which to help: each run from its end, towards whoever works through it from its
        beginning; and where several help with one run, each takes every so manieth shard first.
        """
        runs: list[list[ShardRef]] = [[] for _ in range(self.of)]
        rows, before = sum(shard.rows for shard in shards), 0
        for shard in shards:
            # By its middle row; in whole numbers, so that every machine draws the same line.
            runs[self.of * (2 * before + shard.rows) // (2 * rows)].append(shard)
            before += shard.rows
        mine = self.number - 1
        others = [run for distance in range(1, self.of) for run in self._helping(runs, distance)]
        return runs[mine], others

    def _helping(self, runs: Sequence[Sequence[ShardRef]], distance: int) -> list[ShardRef]:
        """The order in which to help with the run that begins so many after this one's."""
        run = runs[(self.number - 1 + distance) % self.of][::-1]
        helpers = self.of - 1
        # With its own teeth of the comb from the end on; with the others' towards those whose they are.
        orders = [range(tooth, len(run), helpers)[:: 1 if tooth == distance - 1 else -1] for tooth in range(helpers)]
        turned = [*orders[distance - 1 :], *orders[: distance - 1]]
        return [run[place] for order in turned for place in order]
