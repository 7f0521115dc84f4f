"""From a URL to a store."""

from __future__ import annotations

import pytest

from hapistore.errors import UsageError
from hapistore.stores import FolderStore, open_store


def test_a_path_and_a_file_url_name_one_folder(tmp_path):
    folder = tmp_path / "my store"
    for url in (folder, str(folder), f"file://{folder}", f"file://localhost{folder}", folder.as_uri()):
        store = open_store(url)
        assert isinstance(store, FolderStore)
        assert store.root == folder


def test_the_environment_names_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("HAPISTORE_STORE", str(tmp_path / "there"))
    assert open_store().url == str(tmp_path / "there")
    assert open_store(tmp_path / "here").url == str(tmp_path / "here")
    monkeypatch.setenv("HAPISTORE_STORE", "")
    monkeypatch.chdir(tmp_path)
    assert open_store().url == str(tmp_path / "hapistore-data")


def test_a_store_stays_where_it_was_opened_when_the_process_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.create("a", b"one")
    assert (tmp_path / "data" / "a").read_bytes() == b"one"


@pytest.mark.parametrize("url", ["ftp://bucket/x", "http://host/x", "file://host/x", "memory://"])
def test_another_scheme_is_refused_by_name(url):
    with pytest.raises(UsageError, match=url.partition(":")[0]):
        open_store(url)
