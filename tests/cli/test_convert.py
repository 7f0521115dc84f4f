"""``hapistore convert``, and ``ingest --layout``: what they print, and what they leave."""

from __future__ import annotations

import re


def layouts(answer, store, dataset: str = "pets") -> list[str]:
    return [shard["layout"] for shard in answer("inspect", dataset, "--store", store)["shards"]]


def test_there_and_back(answer, succeed, source, tmp_path, files_below):
    store = tmp_path / "store"
    shards = answer("ingest", "pets", source, "--store", store, "--shard-size", "600")["shards"]
    found = answer("convert", "pets", "--layout", "lmdb", "--store", store)
    assert isinstance(found.pop("seconds"), float) and found.pop("bytes") > 600
    assert found == {
        "dataset": "pets",
        "version": 2,
        "committed": True,
        "layout": "lmdb",
        "images": 6,
        "shards": shards,
        "shards_converted": shards,
        "shards_present": 0,
    }
    assert layouts(answer, store) == ["lmdb"] * shards and layouts(answer, store, "pets@1") == ["arrow"] * shards
    images = [name for name in files_below(store) if name.startswith("images/")]
    assert len(images) == 3 * shards and len([name for name in images if name.endswith(".lmdb.json")]) == shards
    text = succeed("convert", "pets", "--layout", "arrow", "--store", store).stdout
    assert re.fullmatch(rf"committed pets@3: {shards} shards in layout arrow, 0 of them written now, .* in .*\n", text)
    text = succeed("convert", "pets", "--layout", "arrow", "--store", store).stdout
    assert text.startswith("nothing new: pets@3: ")
    assert succeed("verify", "--store", store).stdout.endswith(": all sound\n")


def test_ingest_in_a_layout(answer, succeed, source, tmp_path):
    store = tmp_path / "store"
    shards = answer("ingest", "pets", source, "--layout", "lmdb", "--store", store)["shards"]
    assert layouts(answer, store) == ["lmdb"] * shards
    assert re.search(r"^shard +\w{12} 6 images, .*, lmdb$", succeed("inspect", "pets", "--store", store).stdout, re.M)
    again = answer("ingest", "pets", source, "--store", store)
    assert not again["committed"]


def test_a_damaged_file_ends_in_one_line(hapistore, answer, succeed, source, tmp_path):
    store = tmp_path / "store"
    succeed("ingest", "pets", source, "--layout", "lmdb", "--store", store)
    (path,) = store.glob("images/*.lmdb")
    data = bytearray(path.read_bytes())
    data[4200] ^= 16
    path.write_bytes(data)
    finished = hapistore("convert", "pets", "--layout", "arrow", "--store", store)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert re.fullmatch(rf"error: images/{path.name}: bytes 0 to .* \[bad-block\]\n", finished.stderr)
    assert not answer("ingest", "pets", source, "--store", store)["committed"]  # which reads no image of the store
    assert hapistore("verify", "--set-aside", "--store", store).returncode == 1
    succeed("ingest", "pets", source, "--store", store)
    assert succeed("verify", "--store", store).stdout.endswith(": all sound\n")
