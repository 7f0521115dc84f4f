"""How long an epoch takes with a network cut at one place.

An image passes three stages: the storage tier runs the prefix, its output crosses the link, the compute tier trains
the tail. In series, a batch passes all three before the next one starts. Overlapped, each stage works on a batch of
its own, so that the slowest one sets the pace and the others cost only while the first batch passes them: the makespan
of a flow shop with equal jobs.

Features that are kept cost the storage tier only once, while the first epoch goes on or before it; what the compute
tier keeps does not cross the link again.
"""

from __future__ import annotations

from dataclasses import dataclass

from .profile import SHIP_IMAGES, CutProfile, ModelProfile
from .resources import Resources

STAGES = ("storage", "link", "compute")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A cut with what it would cost.

    Attributes:
        cut: as profiled.
        mode: ``images`` cross the link; or features, ``stored`` for later epochs or in ``streaming`` mode.
        storage_s, link_s, compute_s: what each stage is busy with in an epoch, mean over all epochs.
        epoch_s: how long an epoch takes, mean over all epochs.
        worst_epoch_s: the same at the slowest link and the most seconds that were measured.
    """

    cut: CutProfile
    mode: str
    storage_s: float
    link_s: float
    compute_s: float
    epoch_s: float
    worst_epoch_s: float

    @property
    def bottleneck(self) -> str:
        """The stage that is busy the longest; the first of equals."""
        return max(STAGES, key=lambda stage: getattr(self, f"{stage}_s"))


def candidate_of(profile: ModelProfile, cut: CutProfile, resources: Resources) -> Candidate:
    """What training costs with this cut."""
    mode = _mode(profile, cut, resources)
    stored, missing = mode == "stored", _missing_share(profile, cut, resources)
    usual, worst = (_Stages.of(cut, resources, worst=flag) for flag in (False, True))
    fixed_s = 0.0 if mode == "images" else cut.storage_fixed_s

    def mean(in_first: float, in_later: float) -> float:
        return (in_first + (resources.epochs - 1) * in_later) / resources.epochs

    def epoch_s(first: _Stages) -> float:
        later = first.later(stored=stored, missing=missing)
        before_s = fixed_s
        if stored and resources.extracted_first:
            before_s += profile.images * first.storage_s
            first = first.later(stored=True, missing=1.0)
        return mean(before_s + first.epoch_s(profile, resources), later.epoch_s(profile, resources))

    later = usual.later(stored=stored, missing=missing)
    return Candidate(
        cut=cut,
        mode=mode,
        storage_s=mean(fixed_s, 0.0) + profile.images * mean(usual.storage_s, later.storage_s),
        link_s=profile.images * mean(usual.link_s, later.link_s),
        compute_s=profile.images * usual.compute_s,
        epoch_s=epoch_s(usual),
        worst_epoch_s=epoch_s(worst),
    )


@dataclass(frozen=True)
class _Stages:
    """Seconds an image in each stage of one epoch, and seconds a request waits for its first byte."""

    storage_s: float
    link_s: float
    compute_s: float
    delay_s: float

    @classmethod
    def of(cls, cut: CutProfile, resources: Resources, *, worst: bool) -> _Stages:
        storage, compute, link = cut.storage_s_per_image, cut.compute_s_per_image, resources.link_bytes_per_s
        if worst:
            storage = storage if cut.storage_s_high is None else cut.storage_s_high
            compute = compute if cut.compute_s_high is None else cut.compute_s_high
            link = resources.slowest_link_bytes_per_s
        return cls(storage * resources.tenants, cut.bytes_per_image / link, compute, resources.link_delay_s)

    def later(self, *, stored: bool, missing: float) -> _Stages:
        """The stages of an epoch after the first: ``missing`` is the share that has to cross the link again."""
        storage = 0.0 if stored else self.storage_s * missing
        return _Stages(storage, self.link_s * missing, self.compute_s, self.delay_s * missing)

    def epoch_s(self, profile: ModelProfile, resources: Resources) -> float:
        one_image = self.storage_s + self.link_s + self.compute_s
        if not profile.overlapped:
            requests = -(-profile.images // resources.batch_size)
            return profile.images * one_image + requests * self.delay_s
        first_batch = min(resources.batch_size, profile.images)
        slowest = max(self.storage_s, self.link_s, self.compute_s)
        return self.delay_s + first_batch * one_image + (profile.images - first_batch) * slowest


def _mode(profile: ModelProfile, cut: CutProfile, resources: Resources) -> str:
    if cut.index == SHIP_IMAGES:
        return "images"
    fits = resources.disk_bytes is None or profile.images * cut.bytes_per_image <= resources.disk_bytes
    return "stored" if fits and not resources.augmented else "streaming"


def _missing_share(profile: ModelProfile, cut: CutProfile, resources: Resources) -> float:
    """The share of an epoch's bytes that the compute tier does not have from the epoch before."""
    total = profile.images * cut.bytes_per_image
    if resources.augmented and cut.index != SHIP_IMAGES:
        return 1.0
    return 1.0 - min(1.0, resources.cache_bytes / total) if total else 0.0
