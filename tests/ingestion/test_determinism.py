"""The same source makes the same objects, and shards are cut where their size says."""

from __future__ import annotations

import pytest

from hapistore.errors import UsageError
from hapistore.ingestion import IngestOptions
from hapistore.stores import open_store
from hapistore_format import LAYOUTS
from hapistore_format.image_shard_arrow import ROW_BYTES


@pytest.fixture
def source(tree, picture):
    """Forty images of several sizes with labels and a column more."""
    sizes = [(4 + 3 * (n % 7), 5 + n % 3) for n in range(40)]
    files = {f"{n:02d}.png": picture(n, size=size) for n, size in enumerate(sizes)}
    lines = [f"{n:02d}.png,{n % 3},{'train' if n % 4 else 'test'},{n / 8}" for n in range(40)]
    return tree({**files, "all.csv": "path,label,subset,m\n" + "\n".join(lines)}) / "all.csv"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_stores_hold_the_same(source, take, tmp_path, objects, layout):
    stores = [open_store(tmp_path / name) for name in ("one", "four", "again")]
    versions = [
        take(source, into=store, shard_bytes=4000, threads=threads, layout=layout).version
        for store, threads in zip(stores, (1, 4, 4), strict=True)
    ]
    first, second, third = ({n: b for n, b in objects(s).items() if n[:6] in ("images", "annota")} for s in stores)
    assert len(first) > 4
    assert first == second == third
    assert versions[0].shards == versions[1].shards == versions[2].shards


def test_shards_are_cut_by_size_in_order(source, take, store, read_back):
    version = take(source, shard_bytes=4000).version
    records = read_back(store, version)
    assert [record["key"] for record in records] == [f"{n:02d}.png" for n in range(40)]
    sizes, at = [], 0
    for shard in version.shards:
        sizes.append([len(record["image"]) + ROW_BYTES for record in records[at : at + shard.rows]])
        at += shard.rows
    assert len(sizes) > 4 and all(sum(shard) <= 4000 for shard in sizes)
    # Cut no earlier than needed: the next image would not have fitted.
    assert all(sum(shard) + following[0] > 4000 for shard, following in zip(sizes, sizes[1:], strict=False))


def test_an_image_larger_than_a_shard_has_one_to_itself(tree, picture, take, store, read_back):
    files = {"a.png": picture(0), "b.png": picture(1, size=(60, 60)), "c.png": picture(2)}
    assert len(files["b.png"]) > 5000 > len(files["a.png"] + files["c.png"])
    version = take(tree(files), shard_bytes=5000).version
    assert [shard.rows for shard in version.shards] == [1, 1, 1]
    assert [record["image"] for record in read_back(store, version)] == list(files.values())


def test_the_default_is_one_shard_for_little(source, take):
    result = take(source)
    assert [shard.rows for shard in result.version.shards] == [40]
    assert (result.shards_written, result.shards_present) == (1, 0)


@pytest.mark.parametrize("options", [{"shard_bytes": 0}, {"threads": 0}, {"on_error": "ignore"}, {"layout": "zip"}])
def test_impossible_options(options):
    with pytest.raises(UsageError):
        IngestOptions(**options)
