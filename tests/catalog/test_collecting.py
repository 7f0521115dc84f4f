"""gc removes what no version reaches and is old enough, in an order that leaves nothing half, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections import Counter

import pytest

import hapistore as hs
from hapistore.catalog import (
    collecting,
    commit_version,
    latest_version,
    names,
    read_version,
    register_recipe,
    resolve_version,
    verify_store,
)
from hapistore.catalog.collecting import GcOptions, collect_garbage
from hapistore.catalog.expiring import expire_versions, remove_dataset, roll_back
from hapistore.catalog.names import parse_name
from hapistore.catalog.recipes import keep_registered, list_recipes
from hapistore.errors import FormatError, StoreError, UsageError
from hapistore.stores import FolderStore, MemoryStore, ensure, idioms
from hapistore.stores.protocol import Capabilities

DAY, HOUR = 86_400.0, 3600.0


def age(store: FolderStore, seconds: float, keep=lambda name: False) -> None:
    """Let every object be older by so much."""
    for info in list(store.list()):
        if not keep(info.name):
            os.utime(store.local_path(info.name), (info.modified - seconds,) * 2)


def kinds(store) -> Counter:
    return Counter(parsed.kind if (parsed := parse_name(info.name)) else "foreign" for info in store.list())


@pytest.fixture
def twice(copied, make, tmp_path):
    """pets@1 with features, and cats@1 of other images in layout lmdb; a month old."""
    photos = hs.image_folder(make.photos(tmp_path / "cats", 5))
    hs.ingest(copied, "cats", photos, hs.IngestOptions(layout="lmdb", shard_bytes=1))
    make.features(copied, latest_version(copied, "cats"), list_recipes(copied)[0], "f16+zstd")
    age(copied, 30 * DAY)
    return copied


def test_nothing_goes_that_a_version_reaches(twice):
    before = {info.name for info in twice.list()}
    report = collect_garbage(twice)
    assert {info.name for info in twice.list()} == before
    assert (report.objects, report.kept) == (len(before), len(before))
    assert (report.versions, report.expired, report.young, report.foreign, report.lost) == (2, 0, 0, 0, [])
    assert not report.removed


def test_what_only_an_expired_version_reached_goes_after_the_grace(twice):
    before = kinds(twice)
    cats = resolve_version(twice, "cats")
    remove_dataset(twice, "cats")
    assert not collect_garbage(twice).removed  # somebody may be reading it
    age(twice, 8 * DAY, keep=lambda name: "/expired/" not in name)
    dry = collect_garbage(twice, GcOptions(dry_run=True))
    assert kinds(twice) == before + Counter(["expiry"])
    report = collect_garbage(twice)
    assert report == dry
    shards = len(cats.shards)
    assert report.removed == {
        "images": shards, "seal": shards, "annotations": shards, "features": shards, "quarantine": 1
    }  # fmt: skip
    assert report.removed_bytes > cats.size_bytes and (report.versions, report.expired) == (1, 1)
    assert kinds(twice) == before + Counter(["expiry"]) - report.removed
    assert verify_store(twice).damaged == []
    with pytest.raises(hs.HapistoreError, match="not in the store any more"):
        roll_back(twice, "cats@1")
    assert resolve_version(twice, "pets").number == 1


def test_recipes_without_features_go_and_weights_with_them(twice, make):
    make.recipe(twice, "unused")
    young = collect_garbage(twice)
    assert not young.removed
    age(twice, 8 * DAY)
    assert collect_garbage(twice).removed == {"recipe": 1, "weights": 1}
    remove_dataset(twice, "pets")
    remove_dataset(twice, "cats")
    age(twice, 8 * DAY)
    collect_garbage(twice)
    assert kinds(twice) == {"marker": 1, "version": 2, "expiry": 2}
    assert verify_store(twice).damaged == []


def test_weights_stay_that_another_recipe_names(twice, make):
    used, unused = list_recipes(twice)[0], make.recipe(twice, "tiny_net", cut="other")
    assert used.weights == unused.weights
    age(twice, 8 * DAY)
    assert collect_garbage(twice).removed == {"recipe": 1}
    assert list_recipes(twice) == [used]


def test_young_features_keep_their_recipe(twice, make):
    """An extraction for a version that expired meanwhile."""
    version = latest_version(twice, "cats")
    remove_dataset(twice, "cats")
    recipe = make.recipe(twice, "slow_net")
    age(twice, 8 * DAY)
    make.features(twice, version, recipe, "f32", shards=1)
    report = collect_garbage(twice)
    assert "recipe" not in report.removed and report.young == 1
    age(twice, 8 * DAY)
    assert collect_garbage(twice).removed == {"features": 1, "recipe": 1, "weights": 1}


def test_a_layout_that_is_left_goes_and_features_stay(copied):
    features = {info.name for info in copied.list("features/")}
    hs.convert(copied, "pets", layout="lmdb")
    expire_versions(copied, "pets", keep=1)
    age(copied, 8 * DAY)
    report = collect_garbage(copied)
    shards = len(resolve_version(copied, "pets").shards)
    assert report.removed == {"images": shards}
    assert {info.name for info in copied.list("features/")} == features
    assert verify_store(copied).damaged == []


def test_orphans_of_killed_writers_go(copied):
    """A seal without its file, shards and annotations that no version lists, a probe, a temporary file."""
    orphans = [names.seal_name("ab" * 32), names.images_name("cd" * 32), names.annotations_name("ef" * 32)]
    orphans += [names.images_name("ef" * 32, "lmdb"), names.seal_name("ef" * 32), "hapistore-probe/x"]
    for name in orphans:
        copied.create(name, b"whatever")
    temporary = copied.root / ".tmp/half"
    temporary.write_bytes(b"half an object")
    os.utime(temporary, (0, 0))
    assert not collect_garbage(copied, GcOptions(dry_run=True)).removed
    age(copied, 8 * DAY)
    report = collect_garbage(copied)
    assert sum(report.removed.values()) == len(orphans) and report.temporary == 1
    assert not temporary.exists() and verify_store(copied).unknown == []


def test_foreign_objects_are_counted_and_left_alone(copied):
    foreign = ["notes.txt", "images/readme.md", "damaged/images/x", "datasets/pets/versions/7.json", "x/y"]
    for name in foreign:
        copied.create(name, b"mine")
    age(copied, 99 * DAY)
    report = collect_garbage(copied)
    assert report.foreign == len(foreign) and not report.removed
    assert all(bytes(copied.get(name)) == b"mine" for name in foreign)


def test_a_version_committed_while_gc_runs_is_heeded(twice, monkeypatch):
    """Garbage is found, then somebody rolls back to the version that reached it."""
    remove_dataset(twice, "cats")
    age(twice, 8 * DAY)
    monkeypatch.setattr(twice, "touch", lambda name: None, raising=False)  # the look at the versions alone must do
    sweep = collecting._Sweep(twice, collecting.read_clock(twice) - 7 * DAY, dry_run=False)
    for info in twice.list():
        sweep.look(info)
    roll_back(twice, "cats@1")
    sweep.finish()
    assert not sweep.report.removed and sweep.report.lost == []
    assert verify_store(twice).damaged == []


def test_an_object_written_anew_while_gc_runs_stays(twice):
    cats = resolve_version(twice, "cats")
    remove_dataset(twice, "cats")
    age(twice, 8 * DAY)
    sweep = collecting._Sweep(twice, collecting.read_clock(twice) - 7 * DAY, dry_run=False)
    for info in twice.list():
        sweep.look(info)
    shard = cats.shards[0]
    kept = names.images_names(shard.images, "lmdb")
    assert not ensure(twice, kept[0], bytes(twice.get(kept[0])))
    sweep.finish()
    assert sweep.report.young == 2  # a seal stays as long as its file
    assert all(twice.head(name) for name in kept)
    assert verify_store(twice).damaged == []


def test_a_loss_is_reported(twice):
    """A writer that looks neither before nor after it commits."""
    version = resolve_version(twice, "cats")
    remove_dataset(twice, "cats")
    age(twice, 8 * DAY)
    sweep = collecting._Sweep(twice, collecting.read_clock(twice) - 7 * DAY, dry_run=False)
    for info in twice.list():
        sweep.look(info)
    sweep._remove_pending()
    commit_version(twice, "cats", lambda _, number: type(version)(**{**vars(version), "number": number}))
    sweep.finish()
    shards = len(version.shards)
    assert len(sweep.report.lost) == 3 * shards + 1  # files, seals, annotations, the report
    assert {damage.name for damage in verify_store(twice).damaged} == set(sweep.report.lost)


@pytest.mark.parametrize("kind", ["version", "recipe"])
def test_damage_that_hides_what_is_needed_stops_it(twice, kind):
    twice.create(names.images_name("ab" * 32), b"garbage")
    age(twice, 30 * DAY)
    name = next(info.name for info in twice.list() if parse_name(info.name).kind == kind)
    data = bytearray(twice.get(name))
    data[20] ^= 1
    twice.put(name, bytes(data))
    before = {info.name for info in twice.list()}
    with pytest.raises(FormatError, match=name):
        collect_garbage(twice)
    assert {info.name for info in twice.list()} == before


def test_where_listings_lag_it_refuses(copied):
    class Lagging(FolderStore):
        capabilities = Capabilities(atomic_create=True, consistent_list=False)

    with pytest.raises(UsageError, match="lists objects late, so gc could miss a version"):
        collect_garbage(Lagging(copied.root))
    with pytest.raises(UsageError, match="no hapistore store"):
        collect_garbage(MemoryStore())


def test_a_short_grace_needs_a_word(copied):
    with pytest.raises(UsageError, match=r"grace of 3600 s is too short, expected at least 7200: .* --no-writers"):
        GcOptions(grace_s=HOUR)
    collect_garbage(copied, GcOptions(grace_s=0, no_writers=True))
    assert verify_store(copied).damaged == []


def test_chunks_and_stores_without_files(monkeypatch, make):
    """In memory, everything is young: with a grace of none, all garbage goes, some at a time."""
    monkeypatch.setattr(collecting, "_CHUNK", 7)
    store = MemoryStore()
    hs.catalog.ensure_marker(store)
    for number in range(100):
        store.create(names.annotations_name(f"{number:064x}"), b"x")
    version = make.version("pets", 1, shards=10)
    store.create(names.version_name("pets", 1), version.serialise())
    store.create(names.images_name(f"{3:064x}"), b"x")
    cutoff = collecting.read_clock(store) + 1
    sweep = collecting._Sweep(store, cutoff, dry_run=False)
    for info in store.list():
        sweep.look(info)
    sweep.finish()
    assert sweep.report.removed == {"annotations": 90}
    assert sorted(info.name for info in store.list("annotations/")) == [
        names.annotations_name(f"{number:064x}") for number in range(10)
    ]


# The writers' part.


def test_what_a_writer_finds_old_it_writes_again(copied):
    name = next(info.name for info in copied.list("annotations/"))
    data = bytes(copied.get(name))
    age(copied, 2 * HOUR)
    old = copied.head(name).modified
    assert not ensure(copied, name, data)
    assert copied.head(name).modified > old + HOUR
    young = copied.head(name).modified
    assert not ensure(copied, name, data) and copied.head(name).modified == young


@pytest.mark.parametrize("layout", ["arrow", "lmdb"])
def test_an_ingest_renews_what_it_reuses(copied, make, tmp_path, layout):
    photos = make.photos(tmp_path / "photos", 4)
    options = hs.IngestOptions(layout=layout, shard_bytes=1)
    hs.ingest(copied, "cats", hs.image_folder(photos), options)
    remove_dataset(copied, "cats")
    age(copied, 8 * DAY)
    result = hs.ingest(copied, "cats", hs.image_folder(photos), options)
    assert result.version.number == 2 and result.shards_written == 0
    assert collect_garbage(copied).lost == [] and verify_store(copied).damaged == []
    wanted = {part for shard in result.version.shards for part in names.images_names(shard.images, layout)}
    assert all(copied.head(name).modified > collecting.read_clock(copied) - HOUR for name in wanted)


def test_a_conversion_renews_what_it_finds(copied):
    hs.convert(copied, "pets", layout="lmdb")
    roll_back(copied, "pets@1")
    age(copied, 8 * DAY)
    result = hs.convert(copied, "pets", layout="lmdb")
    assert result.converted == 0 and result.version.number == 4
    names_of = [name for shard in result.version.shards for name in names.images_names(shard.images, "lmdb")]
    assert all(not idioms.is_old(copied, copied.head(name)) for name in names_of)


def test_a_recipe_that_gc_took_is_registered_again(copied):
    (recipe,) = list_recipes(copied)
    weights = bytes(copied.get(names.weights_name(recipe.weights)))
    copied.delete(names.recipe_name(recipe.digest))
    keep_registered(copied, recipe, weights)
    assert list_recipes(copied) == [recipe]
    age(copied, 8 * DAY)
    register_recipe(copied, recipe, weights)
    assert not idioms.is_old(copied, copied.head(names.weights_name(recipe.weights)))


def test_a_kill_between_leaves_nothing_half(twice, monkeypatch):
    """Whatever it had removed when it stopped, all is sound, and the next run ends it."""
    remove_dataset(twice, "cats")
    remove_dataset(twice, "pets")
    age(twice, 8 * DAY)
    whole = twice.root
    total = sum(collect_garbage(twice, GcOptions(dry_run=True)).removed.values())
    for stop in range(0, total, 5):
        store = FolderStore(shutil.copytree(whole, whole.parent / f"stopped-{stop}"))
        real, left = collecting.delete_older, [stop]

        def delete(into, name, before_s, real=real, left=left):
            if not left[0]:
                raise StoreError("stopped")
            left[0] -= 1
            return real(into, name, before_s)

        with monkeypatch.context() as patch:
            patch.setattr(collecting, "delete_older", delete)
            patch.setattr(collecting, "_THREADS", 1)
            with pytest.raises(StoreError, match="stopped"):
                collect_garbage(store)
        assert verify_store(store).damaged == []
        lmdb = [info.name for info in store.list("images/") if info.name.endswith(".lmdb")]
        assert all(store.head(name + ".json") for name in lmdb)
        # What was under way when it stopped may have ended.
        assert 0 < sum(collect_garbage(store).removed.values()) <= total - stop
        assert not collect_garbage(store, GcOptions(dry_run=True)).removed
        assert read_version(store, "cats", 1).number == 1
