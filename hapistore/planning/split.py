"""Where to cut a network so that training takes the least time: data in, data out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..units import format_bytes, format_rate, format_seconds
from .epoch_cost import Candidate, candidate_of
from .policies import POLICIES
from .profile import SHIP_IMAGES, CutProfile, ModelProfile
from .resources import Resources

GIVEN = "given"
"""In place of a policy, where the cut was asked for."""


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """A choice, and what it was chosen from.

    Attributes:
        policy: that chose.
        chosen: one of the candidates.
        candidates: ascending by index.
        resources: that it was chosen for.
    """

    policy: str
    chosen: Candidate
    candidates: tuple[Candidate, ...]
    resources: Resources

    def explain(self) -> str:
        """Every candidate with its bytes, seconds of an epoch by stage and bottleneck, a line each; then the choice."""
        rows = [_HEADINGS, *(_row(one, chosen=one is self.chosen) for one in self.candidates)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
        lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
        saved = max(one.epoch_s for one in self.candidates) - self.chosen.epoch_s
        link = format_rate(self.resources.link_bytes_per_s)
        where = f"cut {self.chosen.cut.index} ({self.chosen.cut.name})"
        lines.append(
            f"{self.policy}: {where}, {format_seconds(self.chosen.epoch_s)} an epoch, "
            f"{format_seconds(saved)} less than the slowest; link {link}, epochs {self.resources.epochs}"
        )
        return "\n".join(lines)

    def with_cut(self, cut: int | str) -> SplitPlan:
        """The same with the cut of that index or name, whatever the policy says; its policy is `GIVEN`.

        Raises:
            UsageError: it is no candidate.
        """
        asked = [one for one in self.candidates if cut in (one.cut.index, one.cut.name)]
        if not asked:
            raise UsageError(f"cut {cut!r} takes more memory, or its features more room, than there is")
        return replace(self, policy=GIVEN, chosen=asked[0])


def plan_split(profile: ModelProfile, resources: Resources, policy: str = "cost") -> SplitPlan:
    """Choose a cut.

    Args:
        policy: ``cost`` takes the smallest worst case of the cost model; ``hapi``, ``freeze``, ``smallest`` and
            ``none`` (ship images) are there to compare with.

    Raises:
        UsageError: there is no such policy, the profile has nothing that it could choose, or no prefix fits the
            storage tier's memory.
    """
    if policy not in POLICIES:
        raise UsageError(f"policy {policy!r} is none of {', '.join(POLICIES)}")
    profile = replace(profile, cuts=_that_fit(profile, resources))
    candidates = tuple(candidate_of(profile, cut, resources) for cut in profile.candidates)
    return SplitPlan(
        policy=policy,
        chosen=POLICIES[policy](profile, resources, candidates),
        candidates=candidates,
        resources=resources,
    )


def _that_fit(profile: ModelProfile, resources: Resources) -> tuple[CutProfile, ...]:
    """The candidates whose prefix runs in the storage tier's memory, one image at a time at least."""
    least = {cut.index: cut.memory_fixed_bytes + cut.memory_bytes_per_image for cut in profile.candidates}
    most = math.inf if resources.memory_bytes is None else resources.memory_bytes
    found = tuple(cut for cut in profile.candidates if least[cut.index] <= most or cut.index == SHIP_IMAGES)
    if not found:
        raise UsageError(
            f"no prefix fits into {format_bytes(most)} of the storage tier's memory; the smallest takes "
            f"{format_bytes(min(least.values()))}"
        )
    return found


_HEADINGS = (
    "", "index", "cut", "mode", "per image", "storage", "link", "compute", "bottleneck", "epoch", "at worst",
)  # fmt: skip
_TEXTS = {0, 2, 3, 8}  # columns that are aligned to the left


def _row(one: Candidate, *, chosen: bool) -> tuple[str, ...]:
    return (
        "→" if chosen else "",
        str(one.cut.index),
        one.cut.name,
        one.mode,
        format_bytes(one.cut.bytes_per_image),
        *(format_seconds(seconds) for seconds in (one.storage_s, one.link_s, one.compute_s)),
        one.bottleneck,
        format_seconds(one.epoch_s),
        format_seconds(one.worst_epoch_s),
    )


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        text.ljust(width) if column in _TEXTS else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
