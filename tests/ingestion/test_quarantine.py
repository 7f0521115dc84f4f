"""Images that cannot be used are reported and left out; the rest is kept."""

from __future__ import annotations

import os

import pytest

from hapistore.catalog import dataset_names
from hapistore.catalog.names import quarantine_name
from hapistore.errors import FormatError, HapistoreError, UsageError
from hapistore.ingestion import IngestOptions, image_folder, ingest, load_quarantine
from hapistore_format import write_sealed_json


@pytest.fixture
def bad(picture) -> dict[str, tuple[bytes, str]]:
    """Unusable files with the reason each has."""
    jpeg, png = picture(1, "JPEG", (90, 60)), picture(2, "PNG", (90, 60))
    return {
        "x/cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "x/cut.png": (png[: len(png) // 2], "truncated"),
        "x/cut_header.png": (png[:20], "not-an-image"),
        "x/empty.jpg": (b"", "empty"),
        "x/garbled.png": (png[:60] + bytes(500) + png[560:], "undecodable"),
        "x/text.jpg": (b"hello, I am no picture " * 20, "not-an-image"),
    }


@pytest.fixture
def good(picture) -> dict[str, bytes]:
    return {"x/a.jpg": picture(3, "JPEG"), "y/z.png": picture(4)}


def test_reported_with_reasons_and_the_rest_kept(tree, bad, good, take, store, read_back):
    result = take(tree({**good, **{key: data for key, (data, _) in bad.items()}}), check="full")
    assert {image.key: image.reason for image in result.quarantined} == {key: why for key, (_, why) in bad.items()}
    assert all(image.detail and "\n" not in image.detail for image in result.quarantined)
    assert result.images == 2 and result.version.quarantined == len(bad)
    assert load_quarantine(store, result.version) == result.quarantined
    assert {record["key"]: record["image"] for record in read_back(store, result.version)} == good


@pytest.mark.parametrize(
    "images", [None, 1, {}, [1], [{"key": "a"}], [{"key": 1, "reason": "", "detail": ""}]], ids=repr
)
def test_a_sealed_report_that_lists_no_images_is_refused(tree, good, take, store, images):
    version = take(tree({**good, "x/empty.jpg": b""})).version
    name = quarantine_name(version.dataset, version.quarantine)
    store.put(name, write_sealed_json({"format": 1, **({} if images is None else {"images": images})}))
    with pytest.raises(FormatError, match=name) as caught:
        load_quarantine(store, version)
    assert caught.value.code == "bad-field"


def test_files_that_cannot_be_read(tree, good, take):
    root = tree({**good, "all.csv": "path\nx/a.jpg\nx/gone.jpg\ny\n" + "long" * 2000 + ".jpg\n"})
    result = take(root / "all.csv")
    assert [(image.key[:8], image.reason) for image in result.quarantined] == [
        ("x/gone.j", "unreadable-file"),
        ("y", "unreadable-file"),
        ("longlong", "unreadable-file"),
    ]
    assert "No such file" in result.quarantined[0].detail


def test_a_path_with_a_nul_character(tree, good, take):
    root = tree({**good, "all.jsonl": '{"path": "x/a.jpg"}\n{"path": "x/\\u0000.jpg"}\n'})
    assert [image.reason for image in take(root / "all.jsonl").quarantined] == ["unreadable-file"]


def test_links_to_nowhere_and_pipes(tree, good, take):
    root = tree(good)
    (root / "x/loop.png").symlink_to("loop.png")
    (root / "x/nowhere.png").symlink_to("nothing.png")
    os.mkfifo(root / "x/pipe.png")
    result = take(root)
    assert {image.key: image.reason for image in result.quarantined} == dict.fromkeys(
        ("x/loop.png", "x/nowhere.png", "x/pipe.png"), "unreadable-file"
    )
    assert result.images == 2


def test_mended_images_come_in_with_the_next_ingest(tree, bad, good, picture, take, store, read_back):
    root = tree({**good, "x/cut.jpg": bad["x/cut.jpg"][0]})
    first = take(root, check="full").version
    tree({"x/cut.jpg": picture(9, "JPEG")})
    second = take(root)
    assert second.version.number == 2 and second.version.quarantined == 0 and not second.quarantined
    assert read_back(store, second.version)[-1]["image"] == picture(9, "JPEG")
    assert [image.key for image in load_quarantine(store, first)] == ["x/cut.jpg"]


def test_a_stored_image_outlives_a_broken_file(tree, good, take, store, read_back):
    root = tree(good)
    first = take(root).version
    tree({"x/a.jpg": b"broken"})
    result = take(root)
    assert [image.key for image in result.quarantined] == ["x/a.jpg"]
    assert read_back(store, result.version) == read_back(store, first)


@pytest.mark.parametrize("key", ["x/cut.jpg", "x/empty.jpg", "x/text.jpg"])
def test_on_error_fail_commits_nothing(tree, bad, good, take, store, key):
    data, reason = bad[key]
    with pytest.raises(HapistoreError) as caught:
        take(tree({**good, key: data}), on_error="fail", check="full", shard_bytes=1)
    assert key in str(caught.value) and f"[{reason}]" in str(caught.value) and "\n" not in str(caught.value)
    assert not isinstance(caught.value, UsageError)
    assert dataset_names(store) == []


def test_nothing_usable_commits_nothing(tree, bad, take, store):
    with pytest.raises(HapistoreError, match=rf"none of the {len(bad)} images can be used.*x/cut\.jpg.*\[truncated\]"):
        take(tree({key: data for key, (data, _) in bad.items()}), check="full")
    assert dataset_names(store) == []


def test_files_that_vanish_while_they_are_read(tree, picture, store, read_back):
    files = {f"x/{n:02d}.png": picture(n) for n in range(60)}
    root = tree(files)

    def delete_the_rest(done: int, total: int) -> None:
        if done == 1:
            for name in files:
                (root / name).unlink()

    result = ingest(store, "d", image_folder(root), on_progress=delete_the_rest)
    kept = [record["key"] for record in read_back(store, result.version)]
    left = [image.key for image in result.quarantined]
    assert kept and left and sorted(kept + left) == list(files)
    assert {image.reason for image in result.quarantined} == {"unreadable-file"}


def test_a_source_that_vanishes_as_a_whole_commits_nothing_and_the_next_run_completes(tree, picture, store, tmp_path):
    root = tree({f"x/{n:02d}.png": picture(n) for n in range(60)})

    def take_away(done: int, total: int) -> None:
        if root.exists():
            root.rename(tmp_path / "elsewhere")

    with pytest.raises(HapistoreError, match="the source is gone"):
        ingest(store, "d", image_folder(root), IngestOptions(threads=1), on_progress=take_away)
    assert dataset_names(store) == []
    (tmp_path / "elsewhere").rename(root)
    assert ingest(store, "d", image_folder(root)).images == 60
