"""Where to cut: against brute force under the model's own words, by policy, and as resources change."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hapistore.errors import UsageError
from hapistore.planning import (
    CodecCost,
    CutProfile,
    ModelProfile,
    Resources,
    plan_split,
    profile_from_json,
    profile_to_json,
)

seconds = st.floats(0, 1, allow_subnormal=False)
sizes = st.floats(0, 1e7, allow_subnormal=False)


@st.composite
def profiles(draw, **fixed) -> ModelProfile:
    indices = sorted(draw(st.sets(st.integers(0, 30), min_size=1, max_size=8)))
    cuts = [
        CutProfile(
            index=index,
            name=f"layer{index}",
            bytes_per_image=draw(sizes),
            storage_s_per_image=draw(seconds),
            compute_s_per_image=draw(seconds),
            storage_fixed_s=draw(seconds),
        )
        for index in indices
    ]
    fields = {
        "input_bytes_per_image": draw(sizes),
        "freeze_index": draw(st.integers(indices[0], 31)),
        "images": draw(st.integers(1, 300)),
        "overlapped": draw(st.booleans()),
        **fixed,
    }
    return ModelProfile(cuts=tuple(cuts), **fields)


@st.composite
def surroundings(draw, **fixed) -> Resources:
    fields = {
        "link_bytes_per_s": draw(st.floats(1e3, 1e10)),
        "batch_size": draw(st.integers(1, 4096)),
        "epochs": draw(st.integers(1, 5)),
        "link_delay_s": draw(st.floats(0, 1, allow_subnormal=False)),
        "augmented": draw(st.booleans()),
        "disk_bytes": draw(st.none() | st.floats(0, 1e11)),
        "cache_bytes": draw(st.floats(0, 1e11)),
        "tenants": draw(st.integers(1, 8)),
        "extracted_first": draw(st.booleans()),
        **fixed,
    }
    return Resources(**fields)


def training_s(profile: ModelProfile, cut: CutProfile, resources: Resources) -> float:
    """All epochs, and what goes before them, as they go by: what the closed form must agree with."""
    features = cut.index != 0
    total = profile.images * cut.bytes_per_image
    kept = not (features and resources.augmented)
    stored = features and kept and (resources.disk_bytes is None or total <= resources.disk_bytes)
    share = min(1.0, resources.cache_bytes / total) if total else 1.0
    clock = cut.storage_fixed_s if features else 0.0
    ahead = stored and resources.extracted_first
    if ahead:
        clock += profile.images * cut.storage_s_per_image * resources.tenants
    for epoch in range(resources.epochs):
        missing = 1.0 if epoch == 0 or not kept else 1.0 - share
        storage = cut.storage_s_per_image * resources.tenants * missing * (0 if ahead or (stored and epoch) else 1)
        link = cut.bytes_per_image / resources.link_bytes_per_s * missing
        delay = resources.link_delay_s * missing
        ready = [delay, 0.0, 0.0]  # when each stage is free again
        for start in range(0, profile.images, resources.batch_size):
            count = min(resources.batch_size, profile.images - start)
            at = 0.0 if profile.overlapped or not start else ready[-1] + delay
            for stage, each in enumerate((storage, link, cut.compute_s_per_image)):
                at = ready[stage] = max(at, ready[stage]) + count * each
        clock += ready[-1]
    return clock


@given(profiles(), surroundings())
def test_the_choice_is_never_worse_than_brute_force(profile, resources):
    if profile.overlapped:  # else the last batch is shorter, and the closed form a little long
        profile = replace(profile, images=resources.batch_size * (1 + profile.images // resources.batch_size))
    plan = plan_split(profile, resources)
    by_hand = {
        cut.index: training_s(profile, cut, resources) / resources.epochs
        for cut in profile.cuts
        if cut.index <= profile.freeze_index
    }
    assert [one.cut.index for one in plan.candidates] == sorted(by_hand)
    for one in plan.candidates:
        assert one.epoch_s == pytest.approx(by_hand[one.cut.index], rel=1e-6, abs=1e-6)
        assert one.worst_epoch_s == pytest.approx(one.epoch_s)
    assert plan.chosen.epoch_s <= 1.1 * min(by_hand.values()) * (1 + 1e-6) + 1e-6, "noise excuses no more than a tenth"


@st.composite
def possible_profiles(draw, **fixed) -> ModelProfile:
    """What networks show when nothing disturbs: depth only adds to the prefix, and features cost by their size."""
    profile = draw(profiles(**fixed))
    storage = sorted(cut.storage_s_per_image for cut in profile.cuts)
    compute = sorted((cut.compute_s_per_image for cut in profile.cuts), reverse=True)
    write_s, read_s = draw(st.floats(0, 1e-7)), draw(st.floats(0, 1e-7))
    cuts = tuple(
        cut
        if cut.index == 0
        else replace(
            cut,
            storage_s_per_image=prefix_s + write_s * cut.bytes_per_image,
            compute_s_per_image=tail_s + read_s * cut.bytes_per_image,
        )
        for cut, prefix_s, tail_s in zip(profile.cuts, storage, compute, strict=True)
    )
    return replace(profile, cuts=cuts)


@given(possible_profiles(), surroundings())
def test_without_noise_the_choice_is_the_best(profile, resources):
    plan = plan_split(profile, resources)
    best_s = min(one.epoch_s for one in plan.candidates)
    assert plan.chosen.epoch_s <= best_s * (1 + 1e-5) + 1e-9


@given(possible_profiles(), surroundings(epochs=1), st.randoms(use_true_random=False))
def test_noise_costs_at_most_what_it_hides(profile, resources, chances):
    """Seconds a few percent off, as measured ones are: the choice, by the true ones, is little behind the best."""
    noisy = replace(
        profile,
        cuts=tuple(
            replace(
                cut,
                storage_s_per_image=cut.storage_s_per_image * chances.uniform(0.97, 1.03),
                compute_s_per_image=cut.compute_s_per_image * chances.uniform(0.97, 1.03),
            )
            for cut in profile.cuts
        ),
    )
    chosen_index = plan_split(noisy, resources).chosen.cut.index
    true_s = {one.cut.index: one.epoch_s for one in plan_split(profile, resources).candidates}
    assert true_s[chosen_index] <= 1.1 * 1.03 / 0.97 * min(true_s.values()) + 1e-9


def test_among_equals_within_noise_the_fewest_bytes():
    """Three cuts of one time but for what the measuring left, the middle one a little ahead by chance."""
    rows = [(1, 40_000, 0.0100), (2, 40_000, 0.0096), (3, 4_000, 0.0099)]
    cuts = tuple(
        CutProfile(index=i, name=f"c{i}", bytes_per_image=size, storage_s_per_image=s, compute_s_per_image=0.001)
        for i, size, s in rows
    )
    profile = small_profile(cuts=cuts, overlapped=False)
    assert chosen("cost", profile, link_bytes_per_s=1e9) == 3
    without = replace(profile, cuts=(replace(cuts[0], storage_s_per_image=0.0096), *cuts[1:]))
    assert chosen("cost", without, link_bytes_per_s=1e9) == 1, "nothing here is noise"


@given(profiles(), surroundings(), st.floats(1, 1000))
def test_a_faster_link_never_costs_time(profile, resources, times):
    faster = replace(resources, link_bytes_per_s=resources.link_bytes_per_s * times)
    before, after = plan_split(profile, resources), plan_split(profile, faster)
    for slow, fast in zip(before.candidates, after.candidates, strict=True):
        assert fast.epoch_s <= slow.epoch_s * (1 + 1e-12)
    assert after.chosen.epoch_s <= before.chosen.epoch_s * (1 + 1e-12)


@given(profiles(overlapped=False), surroundings(epochs=1, link_delay_s=0.0), st.floats(1.01, 1000))
def test_in_series_a_faster_link_never_picks_clearly_fewer_bytes(profile, resources, times):
    faster = replace(resources, link_bytes_per_s=resources.link_bytes_per_s * times)
    before, after = plan_split(profile, resources).chosen, plan_split(profile, faster).chosen
    tie = after.cut.bytes_per_image < before.cut.bytes_per_image
    gap_s = profile.images * (before.cut.bytes_per_image - after.cut.bytes_per_image) / resources.link_bytes_per_s
    assert not tie or gap_s <= 1e-9 * max(1.0, before.epoch_s) * times


@given(profiles(), surroundings())
def test_overlapping_never_costs_time(profile, resources):
    resources = replace(resources, link_delay_s=0.0)
    series, overlapped = (plan_split(replace(profile, overlapped=flag), resources) for flag in (False, True))
    for slow, fast in zip(series.candidates, overlapped.candidates, strict=True):
        busiest = max(fast.storage_s, fast.link_s, fast.compute_s)
        assert busiest * (1 - 1e-9) <= fast.epoch_s <= slow.epoch_s * (1 + 1e-9)


def small_profile(**more) -> ModelProfile:
    """Images of 100 kB and 5 cuts, of which the last is past the freeze point."""
    rows = [
        (0, "images", 100_000, 0.0, 0.020),
        (1, "conv1", 800_000, 0.001, 0.018),
        (2, "layer1", 90_000, 0.002, 0.015),
        (3, "layer2", 40_000, 0.004, 0.010),
        (4, "pool", 40_000, 0.009, 0.004),
        (5, "fc", 4_000, 0.009, 0.001),
    ]
    names = ("index", "name", "bytes_per_image", "storage_s_per_image", "compute_s_per_image")
    cuts = tuple(CutProfile(**dict(zip(names, row, strict=True))) for row in rows)
    fields = {"input_bytes_per_image": 100_000, "freeze_index": 4, "images": 1000, "overlapped": True, "cuts": cuts}
    return ModelProfile(**{**fields, **more})


def chosen(policy: str, profile: ModelProfile | None = None, **resources) -> int:
    settings = {"link_bytes_per_s": 1e7, "batch_size": 100, **resources}
    return plan_split(profile or small_profile(), Resources(**settings), policy).chosen.cut.index


def test_policies_differ_as_they_are_defined():
    assert chosen("cost") == 4
    assert chosen("none") == 0
    assert chosen("smallest") == 3, "of equals the earliest"
    assert chosen("freeze") == 4
    assert chosen("hapi") == 2, "100 x 90 kB within 10 MB, and smaller than an image"
    assert chosen("hapi", batch_size=112) == 3
    assert chosen("hapi", batch_size=250) == 3, "exactly the second that is allowed"
    assert chosen("hapi", batch_size=251) == 4, "none fits: the freeze point"
    assert chosen("hapi", small_profile(input_bytes_per_image=40_000)) == 4, "smaller, not as small"


def test_the_freeze_point_is_the_last_cut_before_it():
    profile = small_profile(freeze_index=4)
    profile = replace(profile, cuts=tuple(cut for cut in profile.cuts if cut.index != 4))
    assert chosen("freeze", profile) == 3


def test_policies_that_cannot_choose_say_so():
    images_only = small_profile(freeze_index=0)
    for policy in ("hapi", "freeze"):
        with pytest.raises(UsageError, match=policy):
            chosen(policy, images_only)
    assert chosen("cost", images_only) == 0
    no_images = replace(small_profile(), cuts=small_profile().cuts[1:])
    with pytest.raises(UsageError, match="no cut of index 0"):
        chosen("none", no_images)
    with pytest.raises(UsageError, match="'best' is none of cost, hapi, freeze, smallest, none"):
        chosen("best")


def test_stored_features_cost_the_storage_tier_once():
    weak = replace(
        small_profile(), cuts=tuple(replace(cut, storage_s_per_image=cut.index * 0.02) for cut in small_profile().cuts)
    )
    assert chosen("cost", weak, link_bytes_per_s=1e8) == 0
    assert chosen("cost", weak, link_bytes_per_s=1e8, epochs=20) == 4
    assert chosen("cost", weak, link_bytes_per_s=1e8, epochs=20, augmented=True) == 0
    assert chosen("cost", weak, link_bytes_per_s=1e8, epochs=20, disk_bytes=39_999_999) == 0
    assert chosen("cost", weak, link_bytes_per_s=1e8, epochs=20, disk_bytes=40_000_000) == 4


def test_a_cache_beside_the_training_and_tenants_beside_us():
    slow = {"link_bytes_per_s": 1e6, "epochs": 50}
    first = plan_split(small_profile(), Resources(batch_size=100, **slow), "none").chosen
    cached = plan_split(small_profile(), Resources(batch_size=100, cache_bytes=1e9, **slow), "none").chosen
    assert cached.link_s == pytest.approx(first.link_s / 50)
    alone, crowded = (
        plan_split(small_profile(), Resources(link_bytes_per_s=1e7, batch_size=100, tenants=tenants), "freeze").chosen
        for tenants in (1, 10)
    )
    assert crowded.storage_s == pytest.approx(10 * alone.storage_s) and crowded.bottleneck == "storage"
    assert chosen("cost", tenants=10) < 4


def test_extraction_ahead_is_shared_by_the_epochs():
    weak = replace(
        small_profile(), cuts=tuple(replace(cut, storage_s_per_image=cut.index * 0.004) for cut in small_profile().cuts)
    )
    settings = {"link_bytes_per_s": 1e7, "batch_size": 1000, "epochs": 4}
    for first, expected_s in ((False, (30.0 + 3 * 8.0) / 4), (True, 16.0 / 4 + 8.0)):
        plan = plan_split(weak, Resources(**settings, extracted_first=first), "freeze")
        stages = plan.chosen.cut
        assert (stages.storage_s_per_image, stages.bytes_per_image) == (0.016, 40_000)
        assert plan.chosen.epoch_s == pytest.approx(expected_s - (6.0 / 4 if not first else 0), rel=0.2)


def test_prefixes_that_do_not_fit_the_storage_tier_are_no_candidates():
    cuts = tuple(
        replace(cut, memory_fixed_bytes=1e6 * cut.index, memory_bytes_per_image=1e5) for cut in small_profile().cuts
    )
    profile = small_profile(cuts=cuts)
    plan = plan_split(profile, Resources(link_bytes_per_s=1e7, batch_size=100, memory_bytes=2.1e6))
    assert [one.cut.index for one in plan.candidates] == [0, 1, 2]
    with pytest.raises(UsageError, match=r"no prefix fits into 977 KiB .* takes 1.05 MiB"):
        plan_split(replace(profile, cuts=cuts[1:]), Resources(link_bytes_per_s=1e7, batch_size=1, memory_bytes=1e6))


def test_a_codec_changes_what_crosses_and_what_it_takes():
    cost = CodecCost(bytes_per_image=9_000, storage_s_per_image=0.001, compute_s_per_image=0.0005)
    cuts = (
        small_profile().cuts[0],
        *(replace(cut, codecs={"f16": cost}, compute_s_high=0.02) for cut in small_profile().cuts[1:]),
    )
    found = small_profile(cuts=cuts).through("f16")
    assert found.cuts[0] == cuts[0]
    assert found.cuts[2].bytes_per_image == 9_000
    assert found.cuts[2].storage_s_per_image == pytest.approx(0.003)
    assert found.cuts[2].compute_s_per_image == pytest.approx(0.0155)
    assert found.cuts[2].compute_s_high == pytest.approx(0.0205)
    with pytest.raises(UsageError, match=r"codec f32 was not measured at cut 1 \(conv1\), but f16"):
        small_profile(cuts=cuts).through("f32")


def test_uncertainty_prefers_the_best_worst_case():
    cuts = (
        CutProfile(index=1, name="wide", bytes_per_image=100_000, storage_s_per_image=0.001, compute_s_per_image=0.001),
        CutProfile(index=2, name="deep", bytes_per_image=10_000, storage_s_per_image=0.012, compute_s_per_image=0.001),
    )
    profile = small_profile(cuts=cuts, overlapped=False)
    assert chosen("cost", profile) == 1
    assert chosen("cost", profile, link_low_bytes_per_s=5e6) == 2
    shaky = replace(profile, cuts=(replace(cuts[0], storage_s_high=0.004), cuts[1]))
    assert chosen("cost", shaky) == 2
    assert chosen("cost", replace(profile, cuts=(replace(cuts[0], compute_s_high=0.004), cuts[1]))) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"link_bytes_per_s": 0}, {"link_bytes_per_s": math.nan}, {"link_bytes_per_s": math.inf}, {"batch_size": 0},
        {"epochs": 0}, {"tenants": 0}, {"link_delay_s": -1}, {"disk_bytes": math.nan}, {"cache_bytes": -1},
        {"link_low_bytes_per_s": 2e7}, {"link_low_bytes_per_s": 0}, {"memory_bytes": -1},
    ],
)  # fmt: skip
def test_resources_that_cannot_be_are_refused(bad):
    with pytest.raises(UsageError):
        Resources(**{"link_bytes_per_s": 1e7, "batch_size": 1, **bad})


def test_explain_names_every_candidate_and_the_choice():
    text = plan_split(small_profile(), Resources(link_bytes_per_s=1e7, batch_size=100)).explain()
    lines = text.splitlines()
    assert len(lines) == 1 + 5 + 1 and sum(line.startswith("→") for line in lines) == 1
    assert lines[5].split()[:4] == ["→", "4", "pool", "stored"] and "storage" in lines[5]
    assert " fc " not in text and lines[6].startswith("cost: cut 4 (pool), 9.8 s an epoch")


GOOD = {
    "input_bytes_per_image": 100_000, "freeze_index": 2, "images": 1000, "overlap": "none",
    "cuts": [
        {"index": 2, "name": "b", "bytes_per_image": 10, "storage_s_per_image": 0.2, "compute_s_per_image": 0},
        {"index": 1, "name": "a", "bytes_per_image": 10.5, "storage_s_per_image": 1, "compute_s_per_image": 0.1},
    ],
}  # fmt: skip


def test_a_profile_is_read_as_it_is_written():
    profile = profile_from_json({**GOOD, "model": "told, and not used"})
    assert [cut.index for cut in profile.cuts] == [1, 2] and profile.overlapped is False
    assert (profile.cuts[0].name, profile.cuts[0].bytes_per_image, profile.cuts[1].compute_s_per_image) == (
        "a",
        10.5,
        0,
    )


FULL = {
    **GOOD,
    "about": {"model": "m"},
    "cuts": [
        {
            **GOOD["cuts"][0], "storage_s_high": 0.25, "compute_s_high": 0.5, "storage_fixed_s": 2.0,
            "memory_fixed_bytes": 7.0, "memory_bytes_per_image": 8.0,
            "codecs": {"f16": {"bytes_per_image": 5.0, "storage_s_per_image": 0.1, "compute_s_per_image": 0.2}},
        },
        GOOD["cuts"][1],
    ],
}  # fmt: skip


@pytest.mark.parametrize("value", [GOOD, FULL])
def test_a_profile_is_written_as_it_is_read(value):
    profile = profile_from_json(value)
    written = json.loads(json.dumps(profile_to_json(profile)))
    assert profile_from_json(written) == profile
    assert profile.about == value.get("about", {})
    if value is FULL:
        assert profile.cuts[1].codecs["f16"].storage_s_per_image == 0.1
        assert (profile.cuts[1].storage_fixed_s, profile.cuts[1].memory_bytes_per_image) == (2.0, 8.0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("about", 3), ("cuts.0.codecs", []), ("cuts.0.codecs.f16", 3), ("cuts.0.codecs.f16.bytes_per_image", ...),
        ("cuts.0.storage_fixed_s", -1), ("cuts.0.memory_fixed_bytes", "a"), ("cuts.0.memory_bytes_per_image", None),
    ],
)  # fmt: skip
def test_what_a_measured_profile_says_besides_is_checked_too(path, value):
    check_refused(path, value, FULL)


def changed(path: str, value: object, of: object) -> object:
    """A profile with one field replaced, or removed (...)."""
    copy = json.loads(json.dumps(of))
    place: object = copy
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


NUMBERS = ("input_bytes_per_image", *(f"cuts.1.{key}_per_image" for key in ("bytes", "storage_s", "compute_s")))
WHOLE = ("freeze_index", "images", "cuts.1.index")
NOT_NUMBERS = (..., None, "7", True, [], {}, -1, -0.5, math.nan, math.inf, 10**400)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((path, value) for path in NUMBERS for value in NOT_NUMBERS),
        *((path, value) for path in WHOLE for value in (*NOT_NUMBERS, 1.0)),
        ("images", 0), ("cuts.1.index", 2), ("cuts.0.index", 1), ("freeze_index", 0),
        *(("overlap", value) for value in (..., None, "partial", "", True, ["full"])),
        *(("cuts.0.name", value) for value in (..., None, "", 3, "two\nlines", "x" * 1001)),
        *(("cuts", value) for value in (..., None, [], {}, "a")),
        *(("cuts.0", value) for value in (None, [], "a", 1)),
        ("cuts.0.storage_s_high", 0.1), ("cuts.0.compute_s_high", "a"),
    ],
)  # fmt: skip
def test_a_malformed_profile_gets_one_line_that_names_the_field(path, value):
    check_refused(path, value, GOOD)


def check_refused(path, value, of):
    with pytest.raises(UsageError) as caught:
        profile_from_json(changed(path, value, of))
    message = str(caught.value)
    expected = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split(".")).lstrip(".")
    if path == "freeze_index" and value == 0:
        expected = "cuts"
    if path == "cuts.0.index":
        expected = "cuts[1].index"
    assert "\n" not in message and message.startswith(f"{expected}: "), message


@pytest.mark.parametrize("value", [None, [], 3, "profile", {}])
def test_what_is_no_profile_at_all(value):
    with pytest.raises(UsageError, match="^(profile|freeze_index): "):
        profile_from_json(value)
