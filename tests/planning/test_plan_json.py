"""Plans as JSON, and profiles of two tiers as one."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore.errors import UsageError
from hapistore.planning import (
    POLICIES,
    CodecCost,
    CutProfile,
    ModelProfile,
    Resources,
    combine_tiers,
    plan_from_json,
    plan_split,
    plan_to_json,
)

AMOUNTS = st.floats(0, 1e6)


@st.composite
def plans(draw):
    cuts = [
        CutProfile(
            index=index,
            name=draw(st.sampled_from(["images", "layer1.0", "Größe"])),
            bytes_per_image=draw(AMOUNTS),
            storage_s_per_image=draw(AMOUNTS),
            compute_s_per_image=draw(AMOUNTS),
            memory_fixed_bytes=draw(AMOUNTS),
            codecs={"f32": CodecCost(bytes_per_image=1.5, storage_s_per_image=0.0, compute_s_per_image=2.0)},
        )
        for index in draw(st.sets(st.integers(0, 9), min_size=1).map(sorted))
    ]
    profile = ModelProfile(
        input_bytes_per_image=9.0, freeze_index=9, images=draw(st.integers(1, 1000)), overlapped=True, cuts=tuple(cuts)
    )
    surroundings = Resources(
        link_bytes_per_s=draw(st.floats(1, 1e9)),
        batch_size=draw(st.integers(1, 512)),
        epochs=draw(st.integers(1, 90)),
        augmented=draw(st.booleans()),
        disk_bytes=draw(st.none() | AMOUNTS),
        cache_bytes=draw(AMOUNTS),
    )
    found = plan_split(profile, surroundings)
    return found.with_cut(draw(st.sampled_from(cuts)).index) if draw(st.booleans()) else found


@given(plans())
@settings(max_examples=50)
def test_a_plan_comes_back_as_it_was(plan):
    again = plan_from_json(json.loads(json.dumps(plan_to_json(plan), allow_nan=False)))
    assert again == plan
    assert again.explain() == plan.explain()  # the choice is one of the candidates, not a copy of one


@pytest.fixture
def profile() -> ModelProfile:
    def cut(index: int, name: str) -> CutProfile:
        cost = CodecCost(bytes_per_image=10.0, storage_s_per_image=0.1, compute_s_per_image=0.2)
        codecs = {"u8c+zstd": cost} if index else {}
        return CutProfile(
            index=index, name=name, bytes_per_image=100.0 / (index + 1), storage_s_per_image=float(index),
            storage_s_high=index + 0.5, compute_s_per_image=9.0 - index, compute_s_high=9.5 - index,
            storage_fixed_s=1.0, memory_fixed_bytes=5.0, memory_bytes_per_image=6.0, codecs=codecs,
        )  # fmt: skip

    cuts = (cut(0, "images"), cut(2, "layer1"), cut(5, "layer2"))
    return ModelProfile(
        input_bytes_per_image=100.0, freeze_index=5, images=48, overlapped=True, cuts=cuts, about={"model": "net"}
    )


@pytest.fixture
def told(profile) -> dict:
    return plan_to_json(plan_split(profile, Resources(link_bytes_per_s=1e6, batch_size=8)))


def without(*path):
    def change(told):
        for step in path[:-1]:
            told = told[step]
        del told[path[-1]]

    return change


def setting(value, *path):
    def change(told):
        for step in path[:-1]:
            told = told[step]
        told[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (without("policy"), "policy: missing"),
        (without("candidates", 1, "cut"), r"candidates\[1\].cut: missing"),
        (without("resources", "epochs"), "resources.epochs: missing"),
        (setting(3, "chosen"), "chosen: found 3"),
        (setting(True, "chosen"), "chosen: found True"),
        (setting("cost\n", "policy"), "policy: found"),
        (setting([], "candidates"), "candidates: found a list of none"),
        (setting({}, "candidates"), "candidates: found an object of none"),
        (setting([{}] * 20_000, "candidates"), "candidates: found a list of 20000"),
        (setting(math.nan, "candidates", 0, "epoch_s"), r"candidates\[0\].epoch_s: found nan"),
        (setting(math.inf, "candidates", 0, "link_s"), r"candidates\[0\].link_s: found inf"),
        (setting(10**400, "candidates", 0, "link_s"), r"candidates\[0\].link_s: found 1000"),
        (setting(-1, "candidates", 2, "storage_s"), r"candidates\[2\].storage_s: found -1"),
        (setting("x\x1b[2J", "candidates", 1, "cut", "name"), r"candidates\[1\].cut.name: found 'x\\x1b"),
        (setting(0, "candidates", 1, "cut", "index"), r"candidates\[1\].mode"),
        (setting(5, "candidates", 1, "cut", "index"), r"candidates\[2\].cut.index: found 5 twice"),
        (setting("magic", "candidates", 1, "mode"), r"candidates\[1\].mode: found 'magic'"),
        (setting({"\x1b": {}}, "candidates", 1, "cut", "codecs"), r"candidates\[1\].cut.codecs: found the name"),
        (setting(0, "resources", "link_bytes_per_s"), "resources: the link gives 0"),
        (setting(0, "resources", "batch_size"), "resources.batch_size: found 0"),
        (setting(1.5, "resources", "epochs"), "resources.epochs: found 1.5"),
        (setting(1, "resources", "augmented"), "resources.augmented: found 1"),
        (setting(None, "resources", "cache_bytes"), "resources.cache_bytes: found None"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(told, change, path):
    damaged = copy.deepcopy(told)
    change(damaged)
    with pytest.raises(UsageError, match=f"^{path}") as caught:
        plan_from_json(damaged)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300
    plan_from_json(told)


@pytest.mark.parametrize("value", [None, [], "plan", 3, {}])
def test_what_is_no_plan_at_all(value):
    with pytest.raises(UsageError):
        plan_from_json(value)


class TestTwoTiers:
    @pytest.fixture
    def compute(self, profile) -> ModelProfile:
        """Another machine, twice as slow and with other ideas of everything."""

        def slower(cut: CutProfile) -> CutProfile:
            codecs = {
                name: replace(cost, compute_s_per_image=7.0, bytes_per_image=1.0) for name, cost in cut.codecs.items()
            }
            return replace(
                cut, storage_s_per_image=0.0, storage_s_high=None, compute_s_per_image=2 * cut.compute_s_per_image,
                compute_s_high=2 * cut.compute_s_high, bytes_per_image=1.0, memory_fixed_bytes=0.0, codecs=codecs,
            )  # fmt: skip

        return replace(profile, cuts=tuple(map(slower, profile.cuts)), images=7, about={"device": "laptop"})

    def test_each_gives_what_it_measured(self, profile, compute):
        both = combine_tiers(profile, compute)
        assert both.about == {"model": "net", "compute device": "laptop"}
        assert (both.images, both.freeze_index, both.input_bytes_per_image) == (48, 5, 100.0)
        for cut, storage, tail in zip(both.cuts, profile.cuts, compute.cuts, strict=True):
            expected = replace(
                storage,
                compute_s_per_image=tail.compute_s_per_image,
                compute_s_high=tail.compute_s_high,
                codecs=cut.codecs,
            )
            assert cut == expected
        assert both.cuts[1].codecs["u8c+zstd"] == CodecCost(
            bytes_per_image=10.0, storage_s_per_image=0.1, compute_s_per_image=7.0
        )

    def test_one_tier_twice_is_that_tier(self, profile):
        assert combine_tiers(profile, profile).cuts == profile.cuts

    def test_further_cuts_of_the_compute_tier_are_left_alone(self, profile, compute):
        more = replace(compute, cuts=(*compute.cuts, replace(compute.cuts[1], index=3, name="another")))
        assert combine_tiers(profile, more) == combine_tiers(profile, compute)

    def test_two_networks_are_not_put_together(self, profile, compute):
        images, first, last = compute.cuts
        for cuts, message in [
            ((images, first), r"cut 5 \(layer2\) was measured in the storage tier only"),
            ((images, replace(first, name="stem"), last), r"cut 2 \(layer1\) is stem in the compute tier"),
            ((images, replace(first, codecs={}), last), r"codec u8c\+zstd"),
        ]:
            with pytest.raises(UsageError, match=message):
                combine_tiers(profile, replace(compute, cuts=cuts))
        with pytest.raises(UsageError, match="frozen up to cut 5, the compute tier's up to cut 4"):
            combine_tiers(profile, replace(compute, freeze_index=4))

    def test_the_plan_follows_the_compute_tiers_speed(self, profile, compute):
        """Where training is slow enough, what it is spared decides; where it is not, the prefix does."""
        weak = replace(
            compute, cuts=tuple(replace(cut, compute_s_per_image=100.0 * (6 - cut.index)) for cut in compute.cuts)
        )
        strong = replace(compute, cuts=tuple(replace(cut, compute_s_per_image=1e-6) for cut in compute.cuts))
        resources = Resources(link_bytes_per_s=1e9, batch_size=8)
        weak, strong = (
            replace(one, cuts=tuple(replace(cut, compute_s_high=None) for cut in one.cuts)) for one in (weak, strong)
        )
        assert plan_split(combine_tiers(profile, weak), resources).chosen.cut.index == 5
        assert plan_split(combine_tiers(profile, strong), resources).chosen.cut.index == 0


def test_a_cut_that_is_asked_for_takes_the_place_of_a_policys(profile):
    plan = plan_split(profile, Resources(link_bytes_per_s=1e6, batch_size=8))
    assert plan.with_cut("layer1").chosen is plan.with_cut(2).chosen is plan.candidates[1]
    assert plan.with_cut(2).policy not in POLICIES
    with pytest.raises(UsageError, match="cut 'layer9'"):
        plan.with_cut("layer9")
