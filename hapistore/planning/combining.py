"""One profile of two: what was measured in the storage tier, and what was measured in the compute tier."""

from __future__ import annotations

from dataclasses import replace

from ..errors import UsageError
from .profile import CodecCost, CutProfile, ModelProfile


def combine_tiers(storage: ModelProfile, compute: ModelProfile) -> ModelProfile:
    """Times of the prefix, sizes and memory from one tier, times of the tail and of decoding from the other.

    Cuts are the same where their index and their name are. What ``compute`` has besides is left alone.

    Args:
        storage: measured where the prefix runs; compute: where the tail is trained.

    Raises:
        UsageError: they are not of one network frozen at one place, or a cut or codec was measured in one tier only.
    """
    if storage.freeze_index != compute.freeze_index:
        raise UsageError(
            f"the storage tier's network is frozen up to cut {storage.freeze_index}, the compute tier's up to cut "
            f"{compute.freeze_index}; freeze both at the same place"
        )
    tails = {cut.index: cut for cut in compute.cuts}
    cuts = tuple(_combined(cut, tails.get(cut.index)) for cut in storage.candidates)
    about = {f"compute {key.removeprefix('compute ')}": text for key, text in compute.about.items()}
    return replace(storage, cuts=cuts, about={**storage.about, **about})


def _combined(prefix: CutProfile, tail: CutProfile | None) -> CutProfile:
    what = f"cut {prefix.index} ({prefix.name})"
    if tail is None:
        raise UsageError(f"{what} was measured in the storage tier only; measure its tail too")
    if tail.name != prefix.name:
        raise UsageError(f"{what} is {tail.name} in the compute tier: the two networks differ")
    missing = set(prefix.codecs) - set(tail.codecs)
    if missing:
        raise UsageError(f"{what}: how long codec {min(missing)} takes to decode was not measured in the compute tier")
    return replace(
        prefix,
        compute_s_per_image=tail.compute_s_per_image,
        compute_s_high=tail.compute_s_high,
        codecs={codec: _decoded(cost, tail.codecs[codec]) for codec, cost in prefix.codecs.items()},
    )


def _decoded(storage: CodecCost, compute: CodecCost) -> CodecCost:
    return replace(storage, compute_s_per_image=compute.compute_s_per_image)
