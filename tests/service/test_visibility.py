"""Visibility, over a folder with two datasets that share shards: what is hidden is, to the letter, not there."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hapistore import IngestOptions, image_folder, ingest
from hapistore.catalog import commit_version, latest_version, register_recipe, version_objects
from hapistore.catalog.expiring import expire_versions, remove_dataset
from hapistore.catalog.names import (
    annotations_name,
    expiry_name,
    features_name,
    images_name,
    quarantine_name,
    recipe_name,
    seal_name,
    version_name,
    weights_name,
)
from hapistore.errors import NotFound, StoreError, UsageError
from hapistore.service.tenancy.listed import find_datasets
from hapistore.service.tenancy.looking import Looks
from hapistore.service.tenancy.tenants import ANYBODY, Tenant
from hapistore.service.tenancy.visibility import Visibility
from hapistore.stores import FolderStore, MemoryStore
from hapistore.stores.wrappers import CountingStore
from hapistore.stores.wrappers.wrapped import WrappedStore
from hapistore_format import DatasetVersion, Recipe, write_feature_shard, write_weights
from hapistore_format.weights import RawTensor

PETS, CATS = Tenant(name="pia", datasets=("pets*",)), Tenant(name="carl", datasets=("cats",))
CODEC = "f32"


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def photos(root: Path, names: str) -> Path:
    for number, letter in enumerate(names):
        path = root / "x" / f"{letter}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((16, 12), 10 + number + ord(letter)).convert("RGB").save(path)
    return root


def add_recipe(store, architecture: str) -> Recipe:
    digest, weights = write_weights({"w": RawTensor("F32", (4,), architecture.encode().ljust(16)[:16])})
    recipe = Recipe(architecture=architecture, weights=digest, cut="end", preprocess={}, shape=(3,))
    register_recipe(store, recipe, weights)
    return recipe


def add_features(store, recipe: Recipe, images: str, rows: int) -> str:
    name = features_name(recipe.digest, CODEC, images)
    data = write_feature_shard(
        np.zeros((rows, 3), np.float32), codec=CODEC, recipe=recipe.digest, images=images, provenance={}
    )
    store.create(name, data)
    return name


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> FolderStore:
    """pets@1 and cats@1 share a shard, and each has others. Not to be changed."""
    root = tmp_path_factory.mktemp("visibility")
    store = FolderStore(root / "store")
    small = IngestOptions(shard_bytes=1500)
    (photos(root / "pets", "abcdef") / "x" / "bad.png").write_bytes(b"none")
    ingest(store, "pets", image_folder(root / "pets"), small)
    ingest(store, "cats", image_folder(photos(root / "cats", "stuvwx")), small)
    shared = latest_version(store, "pets").shards[0]
    commit_version(
        store,
        "cats",
        lambda newest, number: DatasetVersion(
            dataset="cats", number=number, created=newest.created, shards=(*newest.shards, shared)
        ),
    )
    return store


@pytest.fixture
def world(made, tmp_path) -> SimpleNamespace:
    """A copy that may be changed, with what is in it, and a clock of its own."""
    store = FolderStore(tmp_path / "store")
    for info in made.list():
        store.create(info.name, made.get(info.name))
    clock = Clock()
    pets, cats = latest_version(store, "pets"), latest_version(store, "cats")
    return SimpleNamespace(
        store=store,
        clock=clock,
        pets=pets,
        cats=cats,
        shared=pets.shards[0],
        own=pets.shards[1],
        foreign=cats.shards[0],
        visibility=Visibility(store, clock=clock),
    )


def sees(visibility: Visibility, tenant: Tenant, name: str) -> bool:
    try:
        visibility.check(tenant, name)
        return True
    except NotFound as error:
        said = str(error)
    assert said == f"there is no object {name}"
    return False


class TestNames:
    def test_who_is_not_confined_sees_all_there_is(self, world):
        names = [info.name for info in world.store.list()]
        assert len(names) > 15
        assert all(sees(world.visibility, ANYBODY, name) for name in names)
        assert [info.name for info in world.visibility.filter(ANYBODY, world.store.list())] == names

    def test_each_sees_what_its_versions_list_and_no_more(self, world):
        for tenant, version, other in ((PETS, world.pets, world.cats), (CATS, world.cats, world.pets)):
            mine, others = set(version_objects(version)), set(version_objects(other))
            assert mine & others and mine - others and others - mine
            assert all(sees(world.visibility, tenant, name) for name in mine)
            world.clock.now += 10
            assert not any(sees(world.visibility, tenant, name) for name in others - mine)

    def test_documents_of_a_dataset_go_by_its_name(self, world):
        for name in (version_name("pets", 1), version_name("pets-2", 7), expiry_name("pets", 1)):
            assert sees(world.visibility, PETS, name) and not sees(world.visibility, CATS, name)
        report = quarantine_name("pets", world.pets.quarantine)
        assert sees(world.visibility, PETS, report) and not sees(world.visibility, CATS, report)
        assert sees(world.visibility, PETS, "hapistore.json")

    def test_seals_and_other_layouts_are_not_listed(self, world):
        for name in (seal_name(world.own.images), images_name(world.own.images, "lmdb")):
            assert not sees(world.visibility, PETS, name)

    def test_weights_are_nobodys_who_is_confined(self, world):
        recipe = add_recipe(world.store, "net")
        add_features(world.store, recipe, world.own.images, world.own.rows)
        world.visibility.registered(PETS, recipe.digest)
        assert sees(world.visibility, PETS, recipe_name(recipe.digest))
        assert not sees(world.visibility, PETS, weights_name(recipe.weights))
        assert sees(world.visibility, ANYBODY, weights_name(recipe.weights))

    @pytest.mark.parametrize(
        "name",
        [
            "", "/", "/etc/passwd", "../x", "images/../hapistore.json", "datasets/../../x/versions/00000001.json",
            "datasets/./versions/00000001.json", "datasets/pets/versions/1.json", "hapistore.json\n",
            "hapistore.json\0",
            "images/" + "A" * 64 + ".arrow", "images//" + "a" * 64 + ".arrow", "features/" + "a" * 64 + "/../x.arrow",
            "datasets/pets\\x/versions/00000001.json", "datasets/pets\udcff/versions/00000001.json", "x" * 100_000,
            "hapistore-probe/x", f"datasets/{'é'}/versions/00000001.json", "datasets/pets%2f/versions/00000001.json",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("tenant", [PETS, ANYBODY])
    def test_what_is_no_name_never_reaches_the_store(self, tenant, name):
        store = CountingStore(MemoryStore())
        with pytest.raises(NotFound) as caught:
            Visibility(store).check(tenant, name)
        assert not store.counts.requests and len(str(caught.value)) < 300 and str(caught.value).isprintable()

    def test_hidden_and_missing_cost_the_same(self, world):
        counting = CountingStore(world.store)
        visibility = Visibility(counting, clock=world.clock)
        sees(visibility, PETS, images_name(world.own.images))
        spent = []
        for digest in (world.foreign.images, "ab" * 32):
            world.clock.now += 5
            before = counting.counts.requests.total()
            assert not sees(visibility, PETS, images_name(digest))
            spent.append(counting.counts.requests.total() - before)
        assert spent[0] == spent[1] > 0


class TestFeatures:
    def test_features_go_by_images_and_recipes_by_features(self, world):
        mine, foreign = add_recipe(world.store, "mine"), add_recipe(world.store, "foreign")
        name = add_features(world.store, mine, world.own.images, world.own.rows)
        hidden = add_features(world.store, foreign, world.foreign.images, world.foreign.rows)
        assert sees(world.visibility, PETS, recipe_name(mine.digest))
        assert sees(world.visibility, PETS, name)
        assert not sees(world.visibility, PETS, hidden)
        world.clock.now += 5
        assert not sees(world.visibility, PETS, recipe_name(foreign.digest))
        assert not sees(world.visibility, PETS, features_name(foreign.digest, CODEC, world.own.images))
        # those not made yet, of a recipe and images that may be seen
        assert sees(world.visibility, PETS, features_name(mine.digest, "f16", world.pets.shards[2].images))
        assert not sees(world.visibility, PETS, features_name(mine.digest, CODEC, world.foreign.images))

    def test_features_of_a_shared_shard_show_their_recipe_to_both(self, world):
        recipe = add_recipe(world.store, "net")
        name = add_features(world.store, recipe, world.shared.images, world.shared.rows)
        for tenant in (PETS, CATS):
            assert sees(world.visibility, tenant, name) and sees(world.visibility, tenant, recipe_name(recipe.digest))

    def test_a_recipe_is_its_owners_until_it_has_features(self, world):
        recipe = add_recipe(world.store, "net")
        world.visibility.registered(PETS, recipe.digest)
        wanted = features_name(recipe.digest, CODEC, world.shared.images)
        for name in (recipe_name(recipe.digest), wanted):
            assert sees(world.visibility, PETS, name) and not sees(world.visibility, CATS, name)
        add_features(world.store, recipe, world.shared.images, world.shared.rows)
        world.clock.now += 5
        restarted = Visibility(world.store, clock=world.clock)
        for one in (world.visibility, restarted):
            for name in (recipe_name(recipe.digest), wanted):
                assert sees(one, PETS, name) and sees(one, CATS, name)

    def test_reading_an_epoch_asks_the_store_nothing(self, world):
        recipe = add_recipe(world.store, "net")
        names = [add_features(world.store, recipe, shard.images, shard.rows) for shard in world.pets.shards]
        counting = CountingStore(world.store)
        visibility = Visibility(counting, clock=world.clock)
        assert sees(visibility, PETS, recipe_name(recipe.digest))
        before = counting.counts.requests.total()
        for name in (*names, *version_objects(world.pets)):
            assert sees(visibility, PETS, name)
        assert counting.counts.requests.total() == before


class TestNews:
    def test_a_new_version_is_seen_at_once(self, world, tmp_path):
        assert sees(world.visibility, PETS, images_name(world.own.images))
        ingest(world.store, "pets", image_folder(photos(tmp_path / "more", "ghi")), IngestOptions(shard_bytes=1500))
        new = latest_version(world.store, "pets")
        fresh = [shard for shard in new.shards if shard not in world.pets.shards]
        assert fresh and all(sees(world.visibility, PETS, images_name(shard.images)) for shard in fresh)
        assert world.visibility.check_shard(PETS, "pets", fresh[0].images) == (new, fresh[0])

    def test_a_new_dataset_is_seen_at_once(self, world, tmp_path):
        assert sees(world.visibility, PETS, images_name(world.own.images))
        ingest(world.store, "pets-2", image_folder(photos(tmp_path / "more", "ghi")))
        shard = latest_version(world.store, "pets-2").shards[0]
        assert sees(world.visibility, PETS, annotations_name(shard.annotations))
        assert not sees(world.visibility, CATS, images_name(shard.images))

    def test_guessing_does_not_have_the_store_listed_at_will(self, world):
        counting = CountingStore(world.store)
        visibility = Visibility(counting, clock=world.clock)
        sees(visibility, PETS, images_name("ab" * 32))
        world.clock.now += 1
        once = counting.counts.requests.total()
        for number in range(300):
            digest = f"{number:064x}"
            for name in (images_name(digest), recipe_name(digest), features_name(digest, CODEC, world.own.images)):
                assert not sees(visibility, PETS, name)
        spent = counting.counts.requests.total() - once
        assert 0 < spent < 30
        world.clock.now += 1
        assert not sees(visibility, PETS, images_name("cd" * 32))
        assert counting.counts.requests.total() > once + spent

    def test_many_at_once_share_the_first_look(self, world):
        for _ in range(20):
            counting = CountingStore(world.store)
            visibility = Visibility(counting, clock=world.clock)
            names = [*version_objects(world.pets)] * 4
            barrier = threading.Barrier(8)
            with ThreadPoolExecutor(8) as pool:

                def ask(part: int, barrier=barrier, visibility=visibility, names=names) -> bool:
                    barrier.wait(60)
                    return all(sees(visibility, PETS, name) for name in names[part::8])

                assert all(pool.map(ask, range(8)))
            assert counting.counts.requests["get"] <= 1  # pets@1

    def test_a_slow_dataset_stops_no_other(self, world):
        entered, go = threading.Event(), threading.Event()

        class Slow(WrappedStore):
            def around(self, operation, name, sent, request):
                if "cats" in name:
                    entered.set()
                    assert go.wait(60)
                return request()

        visibility = Visibility(Slow(world.store), clock=world.clock)
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(sees, visibility, CATS, images_name(world.foreign.images))
            assert entered.wait(60)
            assert sees(visibility, Tenant(name="p", datasets=("pets",)), images_name(world.own.images))
            assert not slow.done()
            go.set()
            assert slow.result(60)

    def test_a_store_that_fails_is_no_answer(self, world):
        class Broken(WrappedStore):
            broken = True

            def around(self, operation, name, sent, request):
                if self.broken:
                    raise StoreError("it is down")
                return request()

        store = Broken(world.store)
        visibility = Visibility(store, clock=world.clock)
        with pytest.raises(StoreError, match="down"):
            visibility.check(PETS, images_name(world.own.images))
        for _ in range(3):  # not even while it may not be looked into again
            with pytest.raises(StoreError, match="down"):
                visibility.check(PETS, recipe_name("ab" * 32))
        store.broken = False
        assert sees(visibility, PETS, images_name(world.own.images))

    def test_a_damaged_version_hides_only_itself(self, world, caplog):
        commit_version(world.store, "pets", lambda newest, n: DatasetVersion(**{**vars(newest), "number": n}))
        world.store.put(version_name("pets", 1), b"{}")
        assert sees(world.visibility, PETS, images_name(world.own.images))
        assert "pets@1 cannot be read" in caplog.text


class TestExpired:
    def shorter(self, world) -> None:
        """pets@2, without what only pets@1 has."""
        commit_version(
            world.store,
            "pets",
            lambda newest, n: DatasetVersion(**{**vars(newest), "number": n, "shards": newest.shards[:1]}),
        )
        expire_versions(world.store, "pets", keep=1)

    def test_readers_go_on_until_gc_may_come(self, world):
        self.shorter(world)
        assert sees(world.visibility, PETS, images_name(world.own.images))
        assert world.visibility.check_shard(PETS, "pets@1", world.own.images)[1] == world.own

    def test_then_it_lists_nothing_more(self, world):
        visibility = Visibility(world.store, clock=world.clock, grace_s=-60.0)
        recipe = add_recipe(world.store, "net")
        name = add_features(world.store, recipe, world.own.images, world.own.rows)
        shown = (images_name(world.own.images), name, recipe_name(recipe.digest))
        assert all(sees(visibility, PETS, one) for one in shown)
        assert visibility.check_shard(PETS, "pets@1", world.own.images)
        self.shorter(world)
        world.clock.now += 31
        assert not any(sees(visibility, PETS, one) for one in shown)
        assert sees(visibility, PETS, images_name(world.shared.images)) and sees(
            visibility, PETS, version_name("pets", 1)
        )
        with pytest.raises(UsageError, match="pets@1 expired on .*; hapistore rollback pets@1 restores it"):
            visibility.check_shard(PETS, "pets@1", world.own.images)
        assert not any(sees(Visibility(world.store, grace_s=-60.0), PETS, one) for one in shown)

    def test_a_removed_dataset_has_no_newest(self, world):
        remove_dataset(world.store, "pets")
        with pytest.raises(NotFound, match="no image shard .* in pets"):
            world.visibility.check_shard(PETS, "pets", world.own.images)


class TestShards:
    def test_a_ticket_names_what_a_version_lists(self, world):
        assert world.visibility.check_shard(PETS, "pets@1", world.own.images) == (world.pets, world.own)
        assert world.visibility.check_shard(CATS, "cats", world.shared.images) == (world.cats, world.shared)
        assert world.visibility.check_shard(ANYBODY, "pets", world.own.images) == (world.pets, world.own)
        assert world.visibility.check_dataset(PETS, "pets") == world.pets

    @pytest.mark.parametrize(
        ("label", "which"),
        [
            ("cats@1", "foreign"), ("cats", "foreign"), ("cats@2", "shared"), ("dogs", "own"), ("pets@2", "own"),
            ("pets@1", "foreign"), ("pets-2", "own"), ("pets@99999999", "own"), ("cats@99999999", "own"),
        ],
    )  # fmt: skip
    def test_all_else_is_not_there(self, world, label, which):
        images = getattr(world, which).images
        with pytest.raises(NotFound) as caught:
            world.visibility.check_shard(PETS, label, images)
        assert str(caught.value) == f"there is no image shard {images} in {label}"
        if label != "pets@1":
            with pytest.raises(NotFound) as caught:
                world.visibility.check_dataset(PETS, label)
            assert str(caught.value) == f"there is no dataset version {label}"

    @pytest.mark.parametrize("label", ["", "@1", "../x", "pets@", "pets@x", "pets@0", "Pets", "p" * 10_000, "pets@1\n"])
    def test_no_label(self, world, label):
        with pytest.raises(UsageError) as caught:
            world.visibility.check_shard(PETS, label, world.own.images)
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize("images", ["", "ab", "A" * 64, "../" * 20, "a" * 65, "a" * 64 + "\n"])
    def test_no_digest(self, world, images):
        with pytest.raises(UsageError, match="no digest"):
            world.visibility.check_shard(PETS, "pets@1", images)

    def test_a_version_is_read_once(self, world):
        counting = CountingStore(world.store)
        visibility = Visibility(counting, clock=world.clock)
        for shard in world.pets.shards * 10:
            visibility.check_shard(PETS, "pets@1", shard.images)
        assert counting.counts.requests["get"] <= 2  # the version, and whether it is expired


class TestListings:
    def test_a_listing_shows_what_may_be_read(self, world):
        mine, foreign = add_recipe(world.store, "mine"), add_recipe(world.store, "foreign")
        add_features(world.store, mine, world.own.images, world.own.rows)
        for recipe in (mine, foreign):
            add_features(world.store, recipe, world.foreign.images, world.foreign.rows)
        world.store.create("unrelated/x", b"x")
        for tenant in (PETS, CATS, Tenant(name="none", datasets=("dogs",))):
            shown = [info.name for info in world.visibility.filter(tenant, world.store.list())]
            world.clock.now += 5
            assert shown == [info.name for info in world.store.list() if sees(world.visibility, tenant, info.name)]
        assert shown == ["hapistore.json"]

    @pytest.mark.parametrize("prefix", ["features/", "recipes/", "images/", ""])
    def test_nothing_is_read_for_an_object(self, world, prefix):
        spent = []
        for more in (0, 40):
            for number in range(more):
                recipe = add_recipe(world.store, f"net{number}")
                add_features(world.store, recipe, world.own.images, world.own.rows)
            counting = CountingStore(world.store)
            infos = list(world.store.list(prefix))
            visibility = Visibility(counting, clock=world.clock)
            assert list(visibility.filter(PETS, iter(infos))) or not infos
            spent.append(counting.counts.requests["get"] + counting.counts.requests["head"])
        assert spent[1] <= spent[0] + 2  # whether there is another version, where recipes are looked for

    def test_a_listing_shows_what_is_new(self, world, tmp_path):
        before = [info.name for info in world.visibility.filter(PETS, world.store.list("images/"))]
        ingest(world.store, "pets", image_folder(photos(tmp_path / "more", "ghi")), IngestOptions(shard_bytes=1500))
        world.clock.now += 2
        after = [info.name for info in world.visibility.filter(PETS, world.store.list("images/"))]
        assert set(before) < set(after)


def test_who_is_let_in_is_decided_without_torch(environment):
    rooms = ", ".join(
        f"hapistore.service.tenancy.{name}" for name in ("visibility", "admission", "access", "binding", "new_token")
    )
    program = f"import sys, {rooms}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_datasets_are_found_with_a_listing_each():
    store = MemoryStore()
    names = ["a", "a-b", "a.b", "a0", "a_b", "b"]
    for name in names:
        for number in range(1, 30):
            store.create(version_name(name, number), b"x")
    store.create("datasets/a-stray-object", b"x")
    counting = CountingStore(store)
    assert sorted(find_datasets(counting, lambda name: True)) == sorted(names)
    assert counting.counts.requests["list"] == len(names) + 2
    assert find_datasets(store, lambda name: name == "a0") == ["a0"]


class TestLooks:
    def test_whoever_asks_gets_a_look_that_began_later(self):
        seen, state = [], {"value": 0}
        looks = Looks(lambda: seen.append(state["value"]))
        lock = threading.Lock()

        def change_and_look(_: int) -> bool:
            with lock:
                state["value"] += 1
                mine = state["value"]
            assert looks.fresh()
            return max(seen) >= mine

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(change_and_look, range(400)))
        assert len(seen) <= 400

    def test_a_failure_is_told_to_all_who_share_it_and_then_forgotten(self):
        outcomes = iter([StoreError("down"), None])

        def look() -> None:
            error = next(outcomes)
            if error:
                raise error

        looks = Looks(look)
        with pytest.raises(StoreError, match="down"):
            looks.recent(60.0)
        assert looks.recent(60.0) and not looks.recent(60.0)

    def test_nobody_is_told_no_because_a_look_failed(self):
        def look() -> None:
            raise StoreError("down")

        looks = Looks(look)
        for may in (True, False, False):
            with pytest.raises(StoreError, match="down"):
                looks.fresh(lambda may=may: may)

    def test_where_no_look_is_allowed_there_is_none(self):
        looks = Looks(lambda: pytest.fail("it looked"))
        assert not looks.fresh(lambda: False)
