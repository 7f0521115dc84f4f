"""A server's half of a plan and a client's, with a real network on real images."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import torch

import hapistore as hs
from hapistore import models
from hapistore.errors import HapistoreError, UsageError
from hapistore.extraction import DEFAULT_CODEC
from hapistore.images import Preprocess
from hapistore.planning import combine_tiers, plan_from_json, profile_from_json
from hapistore.service.plans import client_plan, planning_action
from hapistore.service.plans.client_plan import PlanOptions
from hapistore.service.plans.planning_action import PlanRequest, plan_action

SMALL = Preprocess(resize_px=40, crop_px=(32, 32), mean_levels=(128.0, 128.0, 128.0), std_levels=(64.0, 64.0, 64.0))
BACKBONE, STAGE = "efficientnet_lite0", "network._bn0"
REQUEST = {
    "dataset": "cells", "backbone": BACKBONE, "freeze_until": STAGE, "link": 1e6, "link_delay": 0.01,
    "batch_size": 8, "epochs": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory, photographs, write_manifest):
    folder = tmp_path_factory.mktemp("cells")
    table = write_manifest(folder / "cells.csv", [(path, "ab"[n % 2]) for n, path in enumerate(photographs[:12])])
    store = hs.open_store(folder / "store")
    hs.ingest(store, "cells", hs.manifest(table))
    return store


@pytest.fixture(autouse=True, scope="module")
def small_and_single():
    """Networks for images of 32 pixels, on one thread: seconds, not minutes."""
    before, load = torch.get_num_threads(), models.load_backbone

    def small(name: str, *, weights: str = "pretrained") -> models.Backbone:
        return replace(load(name, weights=weights), preprocess=SMALL)

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning_action, "load_backbone", small)
        patch.setattr(models, "load_backbone", small)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def answer(store) -> dict:
    """Of the first plan, as it crosses the wire; what it measured is kept for the others."""
    return json.loads(json.dumps(plan_action(store, REQUEST, sample=4), allow_nan=False))


def test_a_plan_of_the_servers_own_measurements(answer):
    plan, profile = plan_from_json(answer["plan"]), profile_from_json(answer["profile"])
    assert plan.candidates[0].cut.name == "images"
    assert plan.candidates[-1].cut.index == profile.freeze_index > 0
    assert [one.cut.index for one in plan.candidates] == [cut.index for cut in profile.cuts]
    for one, cut in zip(plan.candidates[1:], profile.cuts[1:], strict=True):
        assert one.cut == cut.through("u8c+zstd")
    assert plan.resources.link_bytes_per_s == 1e6 and plan.resources.link_delay_s == 0.01
    assert plan.resources.epochs == 2 and plan.policy == "cost"
    assert answer["measured_on"]["weights"] == "random"
    assert answer["measured_on"]["storage"] == answer["measured_on"]["compute"] == answer["profile"]["about"]


def test_a_second_plan_is_made_of_what_was_kept(store, answer, monkeypatch):
    def never(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr("hapistore.extraction.cut_profiles.measured.profile_cuts", never)
    again = plan_action(store, {**REQUEST, "link": 5e9, "policy": "freeze", "epochs": 1})
    assert again["profile"] == answer["profile"]
    plan = plan_from_json(again["plan"])
    assert plan.policy == "freeze" and plan.chosen.cut.index == profile_from_json(again["profile"]).freeze_index
    asked = plan_from_json(plan_action(store, {**REQUEST, "cut": 0})["plan"])
    assert asked.chosen.cut.name == "images" and asked.policy == "given"


def test_a_clients_own_times_take_the_place_of_the_servers(store, answer):
    storage = profile_from_json(answer["profile"])
    slow = {**answer["profile"], "about": {"device": "laptop"}}
    slow["cuts"] = [{**cut, "compute_s_per_image": 50.0, "compute_s_high": 60.0} for cut in slow["cuts"]]
    told = plan_action(store, {**REQUEST, "profile": slow})
    assert told["profile"] == answer["profile"]
    assert told["measured_on"]["compute"] == {"device": "laptop"}
    plan = plan_from_json(told["plan"])
    expected = combine_tiers(storage, profile_from_json(slow)).through("u8c+zstd")
    assert tuple(one.cut for one in plan.candidates) == expected.candidates
    assert plan.chosen.bottleneck == "compute"


def test_a_profile_of_another_network_is_refused(store, answer):
    other = json.loads(json.dumps(answer["profile"]))
    other["cuts"][1]["name"] = "features.0"
    with pytest.raises(UsageError, match="features.0 in the compute tier"):
        plan_action(store, {**REQUEST, "profile": other})


HUGE = {"about": {}, "input_bytes_per_image": 1, "freeze_index": 1, "images": 1, "overlap": "full"}
CUT = {"name": "x", "bytes_per_image": 1, "storage_s_per_image": 0, "compute_s_per_image": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": None}, "plan.dataset: missing"),
        ({"dataset": 3}, "plan.dataset: found 3"),
        ({"dataset": "x\n"}, "plan.dataset: found"),
        ({"dataset": "dogs"}, "no dataset 'dogs'"),
        ({"backbone": "transformers//etc"}, "plan.backbone: found"),
        ({"backbone": "timm/hf-hub:someone/something"}, "plan.backbone: found"),
        ({"backbone": "/etc/passwd"}, "plan.backbone: found"),
        ({"backbone": "torchvision/../../x"}, "plan.backbone: found"),
        ({"backbone": "efficientnet_lite0\n"}, "plan.backbone: found"),
        ({"backbone": "efficientnet_lite9"}, "no backbone is named"),
        ({"weights": "/etc/passwd"}, "plan.weights: found"),
        ({"link": None}, "plan.link: missing"),
        ({"link": 0}, "the link gives 0"),
        ({"link": math.nan}, "plan.link: found nan"),
        ({"link": "1Gbit/s"}, "plan.link: found"),
        ({"link_low": 1e9}, "the least no more than the usual"),
        ({"link_delay": 1e9}, "plan.link_delay: found 1e"),
        ({"batch_size": 0}, "plan.batch_size: found 0"),
        ({"batch_size": 10**30}, "plan.batch_size: found"),
        ({"epochs": True}, "plan.epochs: found True"),
        ({"codec": "pickle"}, "pickle"),
        ({"codec": "\x1b[2J"}, "plan.codec: found"),
        ({"precision": "f64"}, "plan.precision: found 'f64'"),
        ({"policy": "best"}, "plan.policy: found 'best'"),
        ({"cut": -1}, "plan.cut: found -1"),
        ({"cut": 10_000}, "cut 10000 is none"),
        ({"cut": [1]}, "plan.cut: found a list"),
        ({"freeze_until": "nowhere"}, "no module and no cut 'nowhere'"),
        ({"freeze_all": "yes"}, "plan.freeze_all: found 'yes'"),
        ({"tenants\x1b": 5}, r"plan: found the field 'tenants\\x1b'"),
        ({"profile": []}, "plan.profile: profile: found a list"),
        ({"profile": {**HUGE, "cuts": [{**CUT, "index": n} for n in range(3000)]}}, "plan.profile.cuts: found 3000"),
        ({"profile": {**HUGE, "cuts": [{**CUT, "index": 1}], "about": {"x": "y" * 999}}}, "plan.profile.about"),
    ],
)
def test_requests_that_cannot_be_meant(store, change, message):
    with pytest.raises(HapistoreError, match=message) as caught:
        plan_action(store, {**REQUEST, **change})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("request_", [None, [], "plan", 3])
def test_what_is_no_request(store, request_):
    with pytest.raises(UsageError, match="expected an object"):
        PlanRequest.parse(request_)


def test_one_network_is_measured_at_a_time(store, monkeypatch):
    inside, most, met = [0], [0], threading.Barrier(3, timeout=60)

    def counting(*_, **__):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.05)
        inside[0] -= 1
        raise HapistoreError("enough")

    def ask():
        met.wait()
        with pytest.raises(HapistoreError, match="enough"):
            plan_action(store, REQUEST)

    monkeypatch.setattr(planning_action, "load_backbone", counting)
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1]


class TestClient:
    OPTIONS = PlanOptions(freeze_until=STAGE, link="8Mbit/s", batch_size=8, epochs=2, sample=4)

    @pytest.fixture
    def calls(self) -> list[dict]:
        return []

    @pytest.fixture
    def call(self, store, answer, calls):
        """A server, with JSON between."""

        def call(action: str, body: dict) -> dict:
            assert action == "plan"
            calls.append(json.loads(json.dumps(body, allow_nan=False)))
            return json.loads(json.dumps(plan_action(store, calls[-1]), allow_nan=False))

        return call

    def test_tails_are_measured_here_and_prefixes_there(self, store, answer, call, calls):
        progress = []
        plan = client_plan.plan(
            call, "cells", BACKBONE, self.OPTIONS, store=store, on_progress=lambda *counts: progress.append(counts)
        )
        first, second = calls
        assert "profile" not in first and first["dataset"] == "cells@1" and first["link"] == 1e6
        mine, theirs = profile_from_json(second["profile"]), profile_from_json(answer["profile"])
        assert [cut.name for cut in mine.cuts] == [cut.name for cut in theirs.cuts]
        assert all(cut.storage_s_per_image == 0 < cut.compute_s_per_image for cut in mine.cuts)
        assert len(json.dumps(second)) < 16 * 1024
        for one, tail in zip(plan.candidates[1:], mine.cuts[1:], strict=True):
            assert one.cut.compute_s_high == tail.through("u8c+zstd").compute_s_high
        assert progress[-1] == (2 * len(mine.cuts), 2 * len(mine.cuts))

    def test_a_network_of_ones_own_that_is_frozen_already(self, store, answer, call, calls):
        model = models.load_backbone(BACKBONE, weights="random").whole()
        for early in (model.network._conv_stem, model.network._bn0):
            early.requires_grad_(False)
        options = replace(self.OPTIONS, freeze_until=None, backbone=BACKBONE, measure_here=False)
        plan = client_plan.plan(call, "cells", model, options, store=store)
        assert plan.candidates[-1].cut.name == calls[0]["freeze_until"] == answer["profile"]["cuts"][-1]["name"]
        with pytest.raises(UsageError, match="say which known network"):
            client_plan.plan(call, "cells", model, replace(options, backbone=None), store=store)

    def test_another_network_than_the_servers_is_found_before_it_is_measured(self, store, answer):
        theirs = json.loads(json.dumps(answer))
        theirs["profile"]["cuts"][1]["name"] = "stem"
        with pytest.raises(UsageError, match=r"is stem at the server and network\.\S+ here"):
            client_plan.plan(lambda *_: theirs, "cells", BACKBONE, self.OPTIONS, store=store, on_progress=self.never)

    @staticmethod
    def never(*_: int) -> None:
        raise AssertionError("measured")

    def test_without_measuring_here_a_name_and_a_link_are_enough(self, call, calls):
        plan = client_plan.plan(call, "cells", BACKBONE, replace(self.OPTIONS, measure_here=False))
        assert plan.candidates and len(calls) == 1

    def test_what_is_missing_is_said(self, call):
        with pytest.raises(UsageError, match="say how fast the link is"):
            client_plan.plan(call, "cells", BACKBONE, replace(self.OPTIONS, link=None, measure_here=False))
        with pytest.raises(UsageError, match="link: .* is no rate"):
            client_plan.plan(call, "cells", BACKBONE, replace(self.OPTIONS, link="fast", measure_here=False))
        with pytest.raises(UsageError, match="give the store"):
            client_plan.plan(call, "cells", BACKBONE, self.OPTIONS)

    @pytest.mark.parametrize("told", [{}, {"plan": 3}, {"plan": {"policy": "cost", "chosen": 0, "candidates": [{}]}}])
    def test_a_server_that_answers_nonsense_is_not_the_callers_mistake(self, told):
        with pytest.raises(HapistoreError, match="the server's answer cannot be read") as caught:
            client_plan.plan(lambda *_: told, "cells", BACKBONE, replace(self.OPTIONS, measure_here=False))
        assert not isinstance(caught.value, UsageError)

    def test_the_codec_is_what_extractions_take(self):
        assert PlanOptions().codec == DEFAULT_CODEC

    def test_it_needs_no_torch_until_it_measures(self, environment):
        program = (
            "import sys\nfrom hapistore.service.plans.client_plan import plan, PlanOptions\n"
            "try:\n    plan(lambda *_: {}, 'x', 'efficientnet_lite0', PlanOptions(link=1e6, measure_here=False))\n"
            "except Exception as error:\n    print(error)\n"
            "assert not {'torch', 'PIL'} & set(sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "cannot be read" in done.stdout
