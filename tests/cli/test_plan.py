"""``hapistore plan`` from a profile alone."""

from __future__ import annotations

import json

import pytest
from PIL import Image

ROWS = [(0, "images", 100_000, 0, 0.02), (1, "conv", 300_000, 0.001, 0.01), (2, "pool", 2_000, 0.01, 0.001)]
FIELDS = ("index", "name", "bytes_per_image", "storage_s_per_image", "compute_s_per_image")
PROFILE = {
    "input_bytes_per_image": 100_000, "freeze_index": 2, "images": 1000, "overlap": "none",
    "cuts": [dict(zip(FIELDS, row, strict=True)) for row in ROWS],
}  # fmt: skip


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(PROFILE))
    return path


def test_plan_as_json(answer, profile):
    found = answer("plan", "--profile", profile, "--link", "200Mbit/s", "--batch-size", 100)
    assert list(found) == [
        "index", "name", "predicted_epoch_s", "policy", "link_bytes_per_s", "link_delay_s", "candidates",
    ]  # fmt: skip
    assert (found["index"], found["name"]) == (2, "pool")
    assert found["predicted_epoch_s"] == pytest.approx(1000 * (0.01 + 2_000 / 25e6 + 0.001))
    assert [one["index"] for one in found["candidates"]] == [0, 1, 2]
    assert found["candidates"][0]["predicted_epoch_s"] == pytest.approx(1000 * (100_000 / 25e6 + 0.02))
    images = answer("plan", "--profile", profile, "--link", "25MB/s", "--batch-size", 100, "--policy", "none")
    assert images["index"] == 0


def test_plan_as_text_and_picture(succeed, profile, tmp_path):
    options = ("--profile", profile, "--link", "1Gbit/s", "--batch-size", 100, "--epochs", 30)
    text = succeed("plan", *options, "--plot", tmp_path / "plan.png").stdout
    assert "→" in text and "cost: cut 2 (pool)" in text
    with Image.open(tmp_path / "plan.png") as picture:
        assert picture.format == "PNG" and picture.width > 500
    succeed("plan", *options, "--plot", tmp_path / "plan.png")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps({**PROFILE, "images": -3}), "images: found -3, expected a whole number from 1"),
        (json.dumps(PROFILE).replace("0.02", "NaN"), "cuts[0].compute_s_per_image: found nan"),
        ("{", "found no JSON"),
        ("[" * 100_000, "found no JSON"),
        ("\udcff", "found no JSON"),
    ],
)
def test_a_malformed_profile_is_refused_in_one_line(hapistore, profile, text, expected):
    profile.write_text(text, errors="surrogateescape")
    failed = hapistore("plan", "--profile", profile, "--link", "1Gbit/s", "--batch-size", 1)
    assert failed.returncode == 2 and len(failed.stderr.splitlines()) == 1
    assert expected in failed.stderr and str(profile) in failed.stderr


@pytest.mark.parametrize("rate", ["fast", "100", "0Mbit/s", "-1Gbit/s", "1Gbit"])
def test_a_link_that_is_no_rate_is_refused(hapistore, profile, rate):
    failed = hapistore("plan", "--profile", profile, f"--link={rate}", "--batch-size", 1)
    assert failed.returncode == 2 and "is no rate" in failed.stderr


def test_a_network_is_measured_on_a_dataset_and_its_profile_plans_the_same(
    succeed, answer, hapistore, photographs, write_manifest, tmp_path
):
    table = write_manifest(tmp_path / "cells.csv", [(path, "cell") for path in photographs[:24]])
    store = ("--store", tmp_path / "store")
    succeed("ingest", "cells", table, *store)
    network = ("--model", "efficientnet_lite0", "--weights", "random", "--freeze-until", "network._bn0")
    saved = ("--save-profile", tmp_path / "lite0.json")
    # Threads that wait for each other make PyTorch's steps fifty times as slow beside other tests.
    alone = {"variables": {"OMP_NUM_THREADS": "1"}}
    options = ("--link", "1Mbit/s", "--batch-size", 8, "--epochs", 3)
    found = answer("plan", "cells", *network, *options, *store, *saved, **alone)
    assert found["candidates"][0]["name"] == "images" and len(found["candidates"]) > 1
    # How many there are between depends on the machine's times; the freeze point is always one.
    assert found["candidates"][-1]["index"] == json.loads((tmp_path / "lite0.json").read_text())["freeze_index"]
    assert found["link_bytes_per_s"] == 125_000
    profile = ("--profile", tmp_path / "lite0.json", *options)
    again = answer("plan", *profile, "--codec", "u8c+zstd")
    assert [one["bytes_per_image"] for one in again["candidates"]] == [
        one["bytes_per_image"] for one in found["candidates"]
    ]
    refused = hapistore("plan", *profile, "--codec", "f32")
    assert refused.returncode == 2 and "codec f32 was not measured" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give DATASET and --model NAME, or --profile FILE"),
        (("pets",), "give DATASET and --model NAME, or --profile FILE"),
        (("--profile", "PROFILE"), "--profile needs --link"),
        (("--profile", "PROFILE", "--link", "1Gbit/s", "--model", "efficientnet_lite0"), "--model means nothing"),
        (("pets", "--model", "efficientnet_lite0", "--tenants", "2"), "--tenants means nothing with --model"),
        (("pets", "--model", "efficientnet_lite0"), "no hapistore store"),
    ],
)  # fmt: skip
def test_options_that_do_not_belong_together(hapistore, profile, tmp_path, arguments, said):
    given = [profile if argument == "PROFILE" else argument for argument in arguments]
    refused = hapistore("plan", *given, "--store", tmp_path / "none")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1 and said in refused.stderr
