"""What a path or a pattern stands for, and what is said where it stands for nothing."""

from __future__ import annotations

import pytest

from hapistore.errors import UsageError
from hapistore.ingestion import ClassFolders, ImageTables, LmdbImages, Manifest, WebDataset, open_source
from hapistore.ingestion.sources.braces import expand_braces


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("x-{08..11}.tar", ["x-08.tar", "x-09.tar", "x-10.tar", "x-11.tar"]),
        ("{8..11}", ["8", "9", "10", "11"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{a,b}-{0..1}", ["a-0", "a-1", "b-0", "b-1"]),
        ("{train,v{0..1}}.tar", ["train.tar", "v0.tar", "v1.tar"]),
        ("{a,}x", ["ax", "x"]),
        ("{plain}", ["{plain}"]),
        ("{}{1..2}", ["{}1", "{}2"]),
        ("{-1..1}", ["-1", "0", "1"]),
    ],
)
def test_braces_are_those_of_a_shell(pattern, names):
    assert sorted(expand_braces(pattern)) == sorted(names)


def test_braces_without_end():
    with pytest.raises(UsageError, match="more than 100000 files"):
        expand_braces("{0..9999999999999}")
    with pytest.raises(UsageError, match="more than 100000 files"):
        expand_braces("{0..99}" * 40)


@pytest.mark.parametrize(
    ("files", "name", "kind"),
    [
        ({"a/1.png": b""}, "", ClassFolders),
        ({"a/1.png": b"", "metadata.csv": "x"}, "", ClassFolders),
        ({"a.tar": b"", "README": b""}, "", WebDataset),
        ({"a.tar": b""}, "*.tar", WebDataset),
        ({"a.tar.zst": b""}, "a.tar.{zst,zst}", WebDataset),
        ({"data.mdb": b"", "lock.mdb": b""}, "", LmdbImages),
        ({"data.mdb": b""}, "data.mdb", LmdbImages),
        ({"data/a.parquet": b""}, "", ImageTables),
        ({"list.CSV": "path\n"}, "list.CSV", Manifest),
        ({"list.ndjson": "{}"}, "list.ndjson", Manifest),
    ],
)
def test_kinds(tree, files, name, kind):
    assert type(open_source(tree(files) / name if name else tree(files))) is kind


@pytest.mark.parametrize(
    ("files", "name", "options", "message"),
    [
        ({"a.zip": b""}, "a.zip", {}, "a.zip is a file, expected a folder of class folders"),
        ({}, "none", {}, "none does not exist; expected a folder of class folders, a .csv"),
        ({"a.png": b""}, "*.png", {}, "is a pattern that names neither .tar nor .parquet"),
        (
            {"a/1.png": b""},
            "",
            {"image_extension": "png"},
            "is a folder of class folders, which has no --image-extension",
        ),
        ({"a.tar": b""}, "a.tar", {"path_column": "x"}, "is WebDataset tars, which has no --path-column"),
        ({"data.mdb": b""}, "", {"label_column": "x"}, "is an LMDB, which has no --label-column"),
        ({"a.csv": "path\n"}, "a.csv", {"image_column": "x"}, "is a manifest, which has no --image-column"),
        ({"a.parquet": b"x"}, "a.parquet", {}, "cannot be read"),
        ({"a.csv": "path\n"}, "a.csv", {"subset_from": "x"}, "expected column:NAME"),
    ],
)
def test_what_is_refused(tree, tmp_path, files, name, options, message):
    source = tree(files) / name if files else tmp_path / name
    with pytest.raises(UsageError) as caught:
        open_source(source, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://b/x*.jpg", "s3://b/{a,b}", "s3://"])
def test_urls_that_are_refused(url):
    with pytest.raises(UsageError, match=r"names neither .tar nor .parquet|is no s3://"):
        open_source(url)


def test_a_file_that_is_called_like_a_pattern(tree, listed, picture):
    root = tree({"a[1].csv": "path\nx.png\n"})
    assert listed(open_source(root / "a[1].csv")).annotations["key"].to_pylist() == ["x.png"]
