"""Jobs of a worker about some image shards, about variants of the images, and of networks known beforehand."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore.catalog.recipes import list_recipes
from hapistore.errors import UsageError
from hapistore.extraction import AugmentOptions, ExtractionWorker, KnownNetwork, extract_jobs, recipe_of
from hapistore.extraction.worker.jobs import JobChecker
from hapistore_format import DatasetVersion, FeatureShardReader

# What several of these files use; its operators live in a module that other processes can import too.
sys.path.append(str(Path(__file__).parent))
from noise_jobs import PLENTY, PREPROCESS, fragile, job

pytestmark = pytest.mark.usefixtures("children_know_operators")


class Known:
    """Says what it is, and counts how often it is loaded."""

    weights_bytes, weights_name = 4, "one number"

    def __init__(self, prefix, says=None) -> None:
        self._prefix, self._says, self.loads = prefix, says or prefix, 0

    def recipe(self):
        return recipe_of(self._says)[0]

    def preprocess(self):
        return PREPROCESS

    def load(self):
        self.loads += 1
        return self._prefix


class Collect:
    """Features of whole shards."""

    def __init__(self) -> None:
        self.found = {}

    def begin(self, shard): ...
    def rows(self, shard, rows, features): ...
    def stored(self, shard, made): ...
    def finished(self, shard, features):
        assert features.missing == ()
        self.found[shard.images] = features.values.copy()


def stored(store, recipe: str) -> dict[str, np.ndarray]:
    """Features of a recipe in f32, by image shard."""
    listed = [info.name for info in store.list(f"features/{recipe}/f32/")]
    return {Path(name).stem: FeatureShardReader(store.get(name), where=name).features() for name in listed}


def test_only_the_shards_it_names_are_a_jobs(noise):
    store, write = noise
    pixels = write("many", 18)
    version = resolve_version(store, "many")
    starts = np.cumsum([0, *(shard.rows for shard in version.shards)])
    chosen = [version.shards[3], version.shards[1]]
    some = tuple(shard.images for shard in chosen)
    part = replace(version, dataset="part", shards=tuple(chosen))
    network, sink = fragile(), Collect()
    recipe = recipe_of(network)[0].digest
    with ExtractionWorker(store, PLENTY) as worker:
        worker.submit([job(part, network, sink=sink)])
        worker.wait()
        assert sorted(stored(store, recipe)) == sorted(some)
        assert list(sink.found) == list(some)  # in the order asked for
        worker.submit([job(part, network), job(replace(part, shards=()), network), job("many", network)])
        first, second, none, rest = worker.wait().jobs
    rows = sum(shard.rows for shard in chosen)
    assert (first.state, first.images, first.done, first.total) == ("done", rows, rows, rows)
    assert first.dataset == first.result.version.label == "part@1"
    assert (second.state, second.images, second.done) == ("done", 0, rows)
    assert (none.state, none.done, none.total) == ("done", 0, 0)
    assert (rest.state, rest.images, rest.done) == ("done", 18 - rows, 18)
    found = stored(store, recipe)
    for number, shard in enumerate(version.shards):
        expected = 1.5 * pixels[starts[number] : starts[number + 1]].mean(axis=(1, 2))
        np.testing.assert_allclose(found[shard.images], expected, rtol=1e-5)


def test_one_job_has_shards_of_several_datasets(noise):
    store, write = noise
    write("many", 9)
    write("more", 12)
    versions = [resolve_version(store, name) for name in ("many", "more")]
    shards = {shard.images: shard for version in versions for shard in version.shards}  # they begin alike
    created = versions[0].created
    some = DatasetVersion(dataset="some", number=1, shards=tuple(shards.values()), created=created)
    (checked,) = JobChecker(store).check([job(some, fragile())])
    largest = max(shard.rows for shard in some.shards), max(shard.bytes for shard in some.shards)
    assert (checked.name, checked.most_rows, checked.most_bytes) == ("some@1:fragile", *largest)
    sink = Collect()
    (report,) = extract_jobs(store, [job(some, fragile(), sink=sink)], PLENTY).jobs
    assert (report.state, report.images) == ("done", some.rows)
    assert list(sink.found) == list(shards)


def test_variants_are_drawn_as_an_extraction_draws_them_and_share_a_loaded_network(noise):
    store, write = noise
    write("many", 9)
    network = fragile()
    augment = AugmentOptions(variants=2, crop_percent=(20, 60), colour_percent=(40, 0, 0), seed=3)
    recipes = augment.recipes(recipe_of(network)[0])
    unkept, kept = Collect(), Collect()
    with ExtractionWorker(store, PLENTY) as worker:
        worker.submit([job("many", network, augmentation=augment.number(0), keep=False, sink=unkept)])
        worker.wait()
        worker.submit([job("many", network, augmentation=augment.number(1), sink=kept)])
        first, second = worker.wait().jobs
    assert [first.state, second.state] == ["done", "done"]
    assert first.result.recipe.digest == recipes[0].digest and second.recipe == recipes[1].label
    assert second.loading_s < first.loading_s / 2
    assert [recipe.digest for recipe in list_recipes(store)] == [recipes[1].digest]
    ours = stored(store, recipes[1].digest)
    for images, features in kept.found.items():
        np.testing.assert_array_equal(ours[images], features)
    for name in [info.name for info in store.list("features/")]:
        store.delete(name)
    options = hs.ExtractOptions(executor="torch", augment=augment)
    hs.extract(store, "many", network, codecs=["f32"], options=options)
    for recipe, found in zip(recipes, (unkept.found, kept.found), strict=True):
        expected = stored(store, recipe.digest)
        assert sorted(expected) == sorted(found)
        for images, features in expected.items():
            np.testing.assert_allclose(found[images], features, rtol=1e-5)
    assert any(not np.allclose(unkept.found[images], kept.found[images]) for images in kept.found)


def test_a_known_network_is_loaded_when_its_job_runs_and_compared_with_what_it_said(noise):
    store, write = noise
    write("many", 3)
    honest, liar = Known(fragile(1.0)), Known(fragile(1.0), says=fragile(2.0))
    assert isinstance(honest, KnownNetwork)
    checker = JobChecker(store)
    (checked,) = checker.check([job("many", honest)])
    assert (honest.loads, checked.weights_bytes, checked.name) == (0, 4, "many:fragile:output")
    assert checked.recipe == recipe_of(fragile(1.0))[0]
    with pytest.raises(UsageError, match="field backbone: its recipe is .* of f32; expected bf16"):
        checker.check([job("many", honest, precision="bf16")])
    before = sorted(info.name for info in store.list(""))
    with ExtractionWorker(store, PLENTY) as worker:
        worker.submit([job("many", liar)])
        (one,) = worker.wait().jobs
    assert (one.state, liar.loads) == ("failed", 1)
    assert "is another one" in one.reason
    assert sorted(info.name for info in store.list("")) == before


def test_a_tenant_has_no_more_memory_than_it_is_allowed(noise):
    store, write = noise
    write("many", 24)
    (free,) = extract_jobs(store, [job("many", fragile())], PLENTY).jobs
    assert free.state == "done"
    network = fragile(gain=2.0)
    cases = {"too little": 30 << 20, "enough": free.peak_bytes + (64 << 20)}
    jobs = [job("many", network, tenant=name, memory_bytes=most) for name, most in cases.items()]
    refused, done = extract_jobs(store, jobs, PLENTY).jobs
    assert (refused.state, done.state) == ("refused", "done")
    assert "and the tenant is allowed 30 MiB" in refused.reason
    assert done.peak_bytes <= cases["enough"]
