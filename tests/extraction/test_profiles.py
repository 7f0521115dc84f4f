"""What is kept between runs is the same again, and anything else is nothing."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from statistics import median_low

import numpy as np
import pytest

import hapistore as hs
from hapistore.errors import HapistoreError
from hapistore.extraction import forwarding
from hapistore.extraction.batching import BatchRunner
from hapistore.extraction.probing import probe_executor
from hapistore.extraction.profiles import ExtractionProfile, ProfileKey, load_profile, save_profile
from hapistore.planning import MemoryModel, ThroughputCurve

KEY = ProfileKey(program="ab" * 32, precision="f32", executor="torch", device="cpu", versions={"torch": "2.13.0"})
PROFILE = ExtractionProfile(
    model=MemoryModel.fit([(1, 60 << 20), (8, 100 << 20)]), curve=ThroughputCurve().observe(1, 0.5).observe(8, 0.8)
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_profile_comes_back(cache):
    assert load_profile(KEY) is None
    save_profile(KEY, PROFILE)
    assert load_profile(KEY) == PROFILE
    assert KEY.file.path.is_relative_to(cache / "hapistore")
    assert list(KEY.file.path.parent.iterdir()) == [KEY.file.path]  # nothing temporary is left


@pytest.mark.parametrize(
    "other",
    [{"program": "cd" * 32}, {"precision": "bf16"}, {"executor": "openvino"}, {"device": "gpu"}, {"versions": {}}],
)
def test_another_key_is_another_profile(other):
    save_profile(KEY, PROFILE)
    assert load_profile(dataclasses.replace(KEY, **other)) is None


@pytest.mark.parametrize("damage", ["empty", "half", "other key", "nested", "list", "numbers", "bytes"])
def test_a_damaged_file_is_ignored_and_written_again(damage):
    save_profile(KEY, PROFILE)
    text = KEY.file.path.read_text()
    value = json.loads(text)
    KEY.file.path.write_bytes(
        {
            "empty": b"",
            "half": text[: len(text) // 2].encode(),
            "other key": json.dumps({**value, "key": {}}).encode(),
            "nested": b"[" * 60_000,
            "list": b"[]",
            "numbers": text.replace("62914560", "-1e999").encode(),
            "bytes": b"\xff\xfe\x00",
        }[damage]
    )
    assert load_profile(KEY) is None
    save_profile(KEY, PROFILE)
    assert load_profile(KEY) == PROFILE


def test_where_nothing_can_be_kept_work_goes_on(cache, caplog):
    cache.write_text("a file, where a folder should be")
    save_profile(KEY, PROFILE)
    assert load_profile(KEY) is None
    assert "is not used as a cache" in caplog.text


class _Line:
    """An executor of known memory that runs nothing."""

    name, device = "line", "here"

    def run(self, pixels):
        self.last = len(pixels)
        return pixels[:, 0, 0, :].astype(np.float32)

    def peak_bytes(self):
        return (500 + 50 + 6 * self.last) << 20

    def idle_bytes(self):
        return 500 << 20


def test_the_next_run_begins_with_what_the_first_found():
    pixels = [np.zeros((2, 2, 3), np.uint8)] * 3000
    first = BatchRunner(_Line(), budget_bytes=1000 << 20, max_batch=256, profile_key=KEY, aim="memory")
    list(first.run(iter(pixels)))
    again = BatchRunner(_Line(), budget_bytes=1000 << 20, max_batch=256, profile_key=KEY, aim="memory")
    sizes = [len(batch) for _, batch in again.run(iter(pixels))]
    assert 60 <= first.largest_batch <= sizes[0]
    assert again.peak_bytes <= 1000 << 20


def test_an_extraction_keeps_what_it_measured(cache, store, prefix):
    options = hs.ExtractOptions(executor="torch", max_batch=8)
    first = hs.extract(store, "mixed", prefix, options=options)
    (file,) = (cache / "hapistore/extraction").iterdir()
    kept = json.loads(file.read_bytes())
    assert (kept["key"]["program"], kept["key"]["executor"]) == (first.recipe.digest, "torch f32")
    sizes = [size for size, _ in kept["value"]["curve"]["rates"]]
    assert sizes[0] == 1 and 1 < sizes[-1] <= first.batch  # 48 images need not be enough to judge the last


@pytest.mark.parametrize("bound", [3, 256])
def test_no_batch_is_sought_that_few_shards_can_fill(cache, store, resnet, monkeypatch, bound):
    """It has images of one shard only, so a larger one would never be judged."""
    bounds = []

    class Recording(BatchRunner):
        def __init__(self, executor, *, max_batch, **more):
            bounds.append(max_batch)
            super().__init__(executor, max_batch=max_batch, **more)

    monkeypatch.setattr(forwarding, "BatchRunner", Recording)
    done = hs.extract(store, "mixed", resnet, options=hs.ExtractOptions(executor="torch", max_batch=bound))
    assert bounds == [min(bound, median_low(shard.rows for shard in done.version.shards))]


def test_probing_measures_a_line():
    profile = probe_executor(_Line(), np.zeros((2, 2, 3), np.uint8), budget_bytes=1 << 40)
    assert profile.model.bytes_per_image == 6 << 20
    assert profile.model.fixed_bytes == 50 << 20
    assert [batch for batch, _ in profile.curve.rates] == [1, 2, 8]


def test_probing_keeps_to_its_budget_and_refuses_what_never_fits():
    image = np.zeros((2, 2, 3), np.uint8)
    profile = probe_executor(_Line(), image, budget_bytes=600 << 20)
    assert [batch for batch, _ in profile.curve.rates] == [1]
    with pytest.raises(HapistoreError, match=r"budget is 550 MiB, and an extraction batch of 1 takes 556 MiB"):
        probe_executor(_Line(), image, budget_bytes=550 << 20)


_PROBE = """
import json
import numpy as np
import hapistore as hs
from hapistore.extraction.executors import EagerExecutor
from hapistore.extraction.probing import probe_executor

prefix = hs.load_backbone("efficientnet_lite0").prefix("map")
image = np.zeros(prefix.preprocess.pixel_shape, np.uint8)
profile = probe_executor(EagerExecutor(prefix), image, budget_bytes=1 << 40, batches=(1, 1, 4))
print(json.dumps([profile.model.bytes_per_image, profile.curve.rate(4)]))
"""


def test_probing_a_real_network(environment):
    """In a process of its own: what another test's network leaves with the allocator would be used again."""
    done = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    bytes_per_image, rate = json.loads(done.stdout)
    assert 1 << 20 < bytes_per_image < 100 << 20
    assert rate > 0
