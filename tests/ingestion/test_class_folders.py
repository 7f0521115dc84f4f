"""Folders of images as a source: labels, subsets, keys, and what is passed over."""

from __future__ import annotations

import os

import pytest

from hapistore.errors import UsageError
from hapistore.ingestion import image_folder, open_source


@pytest.fixture
def said(listed):
    """(key, label, subset) of a source's records."""
    return lambda source: [tuple(row.values()) for row in listed(source).annotations.to_pylist()]


def test_labels_are_the_top_folders_and_keys_are_sorted(tree, picture, said):
    image = picture(0)
    root = tree({"dog/b.png": image, "cat/deep/er/a.png": image, "cat/Z.png": image, "root.png": image})
    assert said(image_folder(root)) == [
        ("cat/Z.png", "cat", None),
        ("cat/deep/er/a.png", "cat", None),
        ("dog/b.png", "dog", None),
        ("root.png", None, None),
    ]


def test_top_folders_that_are_all_subsets_say_the_subset(tree, picture, said):
    image = picture(0)
    root = tree({"train/cat/1.png": image, "val/cat/2.png": image, "test/dog/x/3.png": image, "train/4.png": image})
    assert said(image_folder(root)) == [
        ("test/dog/x/3.png", "dog", "test"),
        ("train/4.png", None, "train"),
        ("train/cat/1.png", "cat", "train"),
        ("val/cat/2.png", "cat", "val"),
    ]


@pytest.mark.parametrize("other", ["dog/1.png", "1.png"])
def test_train_beside_another_class_is_a_class(tree, picture, other, said):
    root = tree({"train/cat/1.png": picture(0), other: picture(0)})
    assert ("train/cat/1.png", "train", None) in said(image_folder(root))


def test_everything_is_kept_as_it_was(tree, picture, store, take, read_back):
    files = {
        "Käse/größe.png": picture(1),
        "emoji 🐕/写真.jpg": picture(2, "JPEG", (31, 17)),
        "a/turned.jpg": picture(
            3, "JPEG", (20, 10), exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
        ),
        "a/b.webp": picture(4, "WEBP", (5, 9)),
    }
    result = take(tree(files))
    assert result.committed and result.version.label == "d@1" and not result.quarantined
    assert (result.images, result.bytes) == (4, sum(map(len, files.values())))
    records = read_back(store, result.version)
    assert {record["key"]: record.pop("image") for record in records} == files
    assert [tuple(record.values()) for record in records] == [
        ("Käse/größe.png", "Käse", None, 8, 6, 1, "PNG"),
        ("a/b.webp", "a", None, 5, 9, 1, "WEBP"),
        ("a/turned.jpg", "a", None, 20, 10, 6, "JPEG"),
        ("emoji 🐕/写真.jpg", "emoji 🐕", None, 31, 17, 1, "JPEG"),
    ]


def test_other_files_are_counted(tree, picture, listed):
    root = tree({"a/1.PNG": picture(0), "a/notes.txt": "x", "a/.hidden.png": picture(0), ".cache/2.png": picture(0)})
    listing = listed(image_folder(root))
    assert listing.annotations["key"].to_pylist() == ["a/1.PNG"]
    assert listing.ignored == {"files without an image extension": 2}


def test_links_that_lead_outside_are_passed_over(tree, picture, tmp_path, listed):
    elsewhere = tree({"secret.png": picture(1), "more/2.png": picture(2)}, "elsewhere")
    root = tree({"a/1.png": picture(0)})
    (root / "a/out.png").symlink_to(elsewhere / "secret.png")
    (root / "a/up.png").symlink_to("../../elsewhere/secret.png")
    (root / "folder").symlink_to(elsewhere)
    (root / "a/inside.png").symlink_to("1.png")
    listing = listed(image_folder(root))
    assert listing.annotations["key"].to_pylist() == ["a/1.png", "a/inside.png"]
    assert listing.ignored == {"links that lead outside": 2}


def test_names_that_are_no_text_are_passed_over(tree, picture, listed):
    root = tree({"a/1.png": picture(0)})
    (root / os.fsdecode(b"a/\xff.png")).write_bytes(picture(1))
    listing = listed(image_folder(root))
    assert listing.annotations["key"].to_pylist() == ["a/1.png"]
    assert listing.ignored == {"files whose names are not UTF-8": 1}


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ({}, "", "does not exist"),
        ({"a/x.txt": "x"}, "", "has no images (1 files without an image extension)"),
        ({"a/x.txt": "x"}, "a/x.txt", "is a file, expected a folder"),
    ],
)
def test_sources_that_are_none(tree, store, take, files, path, message):
    source = tree(files) / path
    with pytest.raises(UsageError) as caught:
        take(source)
    assert message in str(caught.value) and str(source) in str(caught.value) and "\n" not in str(caught.value)
    assert not list(store.list())


def test_an_empty_folder(tmp_path, store, take):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"has no images \(it is empty\)"):
        take(tmp_path / "empty")
    assert not (tmp_path / "store").exists()


def test_columns_cannot_be_named_for_a_folder(tree, picture):
    with pytest.raises(UsageError, match="has no --label-column; columns can be named for manifests"):
        open_source(tree({"a/1.png": picture(0)}), label_column="defect")
