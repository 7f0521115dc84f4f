"""``hapistore extract`` with a real network on real photographs, and again, and in another codec."""

from __future__ import annotations

import json
import re

import pytest

from hapistore_format import codec_names

COMMAND = ("extract", "things", "--backbone", "efficientnet_lite0")
TYPES = {
    "dataset": str,
    "version": int,
    "recipe": str,
    "shape": list,
    "images": int,
    "shards_extracted": int,
    "shards_transcoded": int,
    "shards_present": int,
    "bytes_per_image": dict,
    "precision": str,
    "executor": str,
    "executor_choice": dict,
    "batch": int,
    "peak_bytes": int,
    "seconds": float,
    "stage_seconds": dict,
    "restarts": int,
    "left_out": list,
    "variants": list,
}


@pytest.fixture(scope="module")
def store(succeed, imagenet, write_manifest, tmp_path_factory):
    """Six JPEGs in two shards or more."""
    folder = tmp_path_factory.mktemp("things")
    write_manifest(folder / "things.csv", imagenet[:6])
    succeed("ingest", "things", folder / "things.csv", "--shard-size", "100KB", "--store", folder / "store")
    return folder / "store"


def test_extract_then_nothing_then_transcode(answer, succeed, hapistore, store, files_below, tmp_path):
    shards = len(list((store / "images").iterdir()))
    assert shards >= 2
    # Of a user for whom nothing was measured before, as another test may have for this one.
    first = answer(*COMMAND, "--codec", "f32", "--store", store, variables={"XDG_CACHE_HOME": str(tmp_path)})
    assert {name: type(value) for name, value in first.items()} == TYPES
    counts = ("images", "shards_extracted", "shards_transcoded", "shards_present")
    assert [first[name] for name in counts] == [6, shards, 0, 0]
    assert (first["dataset"], first["version"], first["shape"]) == ("things", 1, [1280])
    assert re.fullmatch(r"(torch|inductor|onnx|openvino) f32(, \d streams?)?", first["executor"])
    assert first["executor_choice"]["executor"] == first["executor"].split()[0]
    assert first["executor_choice"]["chosen"]["how"] == "order"  # six images are not worth measuring
    assert 1 <= first["batch"] <= 6 and first["peak_bytes"] > 50e6
    stored = files_below(store)

    second = answer(*COMMAND, "--codec", "f32", "--store", store)
    assert [second[name] for name in counts] == [0, 0, 0, shards]
    assert (second["recipe"], second["executor"], second["batch"]) == (first["recipe"], "", 0)
    assert files_below(store) == stored

    third = answer(*COMMAND, "--codec", "u8c, f32", "--store", store)
    assert [third[name] for name in counts] == [0, 0, shards, 0]
    sizes = third["bytes_per_image"]
    assert sizes["f32"] == first["bytes_per_image"]["f32"] > 1280 * 4
    assert 1280 < sizes["u8c"] < sizes["f32"]

    (listed,) = answer("ls", "--store", store)["datasets"]
    assert {f["codec"]: (f["complete"], f["shards"], f["bytes_per_image"]) for f in listed["features"]} == {
        codec: (True, shards, size) for codec, size in sizes.items()
    }
    assert re.search(r"efficientnet_lite0:pool \[1280\] +f32 ", succeed("ls", "--store", store).stdout)
    inspected = answer("inspect", "things", "--store", store)["features"]
    assert {(f["recipe"], f["codec"], f["complete"]) for f in inspected} == {
        (first["recipe"], codec, True) for codec in ("f32", "u8c")
    }

    # Damaged features are set aside and come back with the next run.
    damaged = next((store / "features").rglob("u8c/*.arrow"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-200] + bytes(1) + whole[-199:])
    found = hapistore("verify", "--set-aside", "--json", "--store", store)
    assert found.returncode == 1
    assert json.loads(found.stdout)["set_aside"] == [f"damaged/{damaged.relative_to(store)}"]
    text = succeed(*COMMAND, "--codec", "u8c,f32", "--store", store).stdout
    done = rf"^image shards: 0 extracted, 1 transcoded, {shards - 1} done before, in "
    size = r"[\d.]+ KiB an image \(the image itself [\d.]+ KiB\)$"
    assert re.search(done, text, re.MULTILINE)
    assert re.search(rf"^f32: {size}", text, re.MULTILINE) and re.search(rf"^u8c: {size}", text, re.MULTILINE)
    assert damaged.read_bytes() == whole


def test_too_little_memory(hapistore, store):
    # Random weights are another recipe, which cannot be transcoded from what is there.
    finished = hapistore(*COMMAND, "--weights", "random", "--codec", "f16", "--memory", "50MiB", "--store", store)
    assert (finished.returncode, finished.stdout) == (1, "")
    (line,) = finished.stderr.splitlines()
    assert line.startswith("error: ") and "50 MiB" in line
    needed = re.findall(r"([\d.]+) (MiB|GiB)", line)
    assert len(needed) >= 2  # what there is, and what it takes
    assert not list((store / "features").rglob("f16/*.arrow"))


def test_auto_prints_what_it_measured_and_names_its_choice(answer, succeed, hapistore, store):
    other = ("--weights", "random", "--codec", "auto", "--max-error", "0.04", "--store", store)
    first = answer(*COMMAND, *other)
    assert first["auto"]["max_error"] == 0.04 and len(first["auto"]["measured"]) == len(codec_names())
    assert list(first["bytes_per_image"]) == [first["auto"]["codec"]]
    text = succeed(*COMMAND, *other).stdout
    assert f"auto: {first['auto']['codec']}, as chosen before for --max-error 0.04" in text
    text = succeed(*COMMAND, *other[:5], "0.001", *other[6:]).stdout
    assert len(re.findall(r"^ [ *] \S+ +[\d.]+ \w+ a row   error \S+ +decodes [\d.]+ GB/s", text, re.M)) == len(
        codec_names()
    )
    assert text.count(" * ") == 1
    failed = hapistore(*COMMAND, "--codec", "f32", "--max-error", "0.1", "--store", store)
    assert failed.returncode == 2 and "give codec 'auto' with it" in failed.stderr


def test_variants_are_stored_beside_and_named(answer, succeed, hapistore, store):
    options = ("--codec", "u8c", "--augment", "crop:50-100,flip", "--augment-seed", "7", "--store", store)
    options = ("--cut", "map", *options)  # of which the store has no features
    found = answer(*COMMAND, *options, "--variants", "2")
    assert found["images"] == 3 * 6
    assert [variant["variant"] for variant in found["variants"]] == [0, 1]
    name = "efficientnet_lite0:map+crop:50-100,flip#1,seed=7"
    assert found["variants"][1]["name"] == name
    assert len({found["recipe"], *(variant["recipe"] for variant in found["variants"])}) == 3
    more = answer(*COMMAND, *options, "--variants", "3")
    assert more["images"] == 6
    assert more["variants"][:2] == found["variants"]
    assert "3 variants besides" in succeed(*COMMAND, *options, "--variants", "3").stdout
    assert name in succeed("inspect", "things", "--store", store).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--augment", "flip"), "give --variants with them"),
        (("--augment-seed", "1"), "give --variants with them"),
        (("--variants", "2", "--augment", "blur"), "crop,flip or crop:8-100,flip,colour:40"),
        (("--variants", "5000"), "expected 1 to 1024"),
    ],
)
def test_what_is_no_augmentation_is_refused(hapistore, store, files_below, options, message):
    before = files_below(store)
    process = hapistore(*COMMAND, *options, "--store", store)
    assert process.returncode == 2
    assert message in process.stderr and process.stderr.count("\n") == 1
    assert files_below(store) == before
