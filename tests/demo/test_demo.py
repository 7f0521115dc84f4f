"""The main job, as users run it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "store"


@pytest.fixture(scope="module")
def first(hapistore, store):
    done = hapistore("demo", "--json", "--store", store)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_figures_of_the_main_job(first):
    assert first["images"] == 2624
    assert round(first["bytes_per_image_raw"]) in range(34_300, 34_500)
    assert first["bytes_per_image_features"] <= 420
    assert first["test_accuracy"] >= 0.83
    assert abs(first["test_accuracy"] - first["test_accuracy_full_precision"]) <= 0.005
    assert min(first[name] for name in ("ingest_s", "extract_s", "epoch_s")) > 0


def test_second_run_finds_everything_stored_and_prints_the_table(hapistore, store, first):
    done = hapistore("demo", "--store", store)
    assert done.returncode == 0, done.stderr
    for text in ("2,624", "found stored", f"{first['test_accuracy']:.4f}", "CC BY-NC-SA 4.0", "Next:"):
        assert text in done.stdout
    assert len(done.stdout.split("Next:\n")[1].strip().splitlines()) == 3


def test_another_seed_is_another_held_out_fifth_of_the_same_images(hapistore, store, first):
    done = hapistore("demo", "--json", "--seed", "5", "--store", store)
    again = json.loads(done.stdout)
    assert again["images_extracted"] == 0
    assert again["dataset"] != first["dataset"]
    assert again["test_accuracy"] >= 0.83
    assert abs(again["test_accuracy"] - again["test_accuracy_full_precision"]) <= 0.005


def test_what_the_demo_stored_verifies(hapistore, store, first):
    done = hapistore("verify", "--json", "--store", store)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["damaged"] == []
