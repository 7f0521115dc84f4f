"""Networks that cross: what comes out at the service is what its user would extract with."""

from __future__ import annotations

import copy
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import hapistore as hs
from hapistore.catalog.recipes import load_recipe
from hapistore.errors import NotFound, UsageError
from hapistore.extraction import ExtractionJob, WorkerOptions, choose_executor, extract_jobs, recipe_of
from hapistore.extraction.executors import confining
from hapistore.extraction.executors.child import ChildExecutor
from hapistore.extraction.sending import pack_network
from hapistore.models import OnnxPrefix, Prefix
from hapistore.service.networks import intake
from hapistore.service.networks.intake import receive_network
from hapistore.service.networks.intake_limits import IntakeLimits
from hapistore.service.networks.stored_network import StoredNetwork
from hapistore.stores import MemoryStore

SIDE = 32
ONNX = IntakeLimits(allow_onnx=True, max_memory_bytes=512 << 20, max_seconds=120)
PREPROCESS = hs.Preprocess(
    resize_px=SIDE, crop_px=(SIDE, SIDE), mean_levels=(120.0, 110.0, 100.0), std_levels=(60.0, 61.0, 62.0)
)


class Block(nn.Module):
    """A residual block with a shortcut, pooled: float32 [n, 3, s, s] to [n, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.conv1, self.conv2 = (nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(images))
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(x + y).mean(dim=(2, 3))


@pytest.fixture(scope="module")
def lite0():
    return hs.load_backbone("efficientnet_lite0").prefix("pool")


@pytest.fixture(scope="module")
def block(confinement):
    pytest.importorskip("onnxruntime")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Block()
        for norm in (network.norm1, network.norm2):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
    return hs.backbone_from_module(network, name="mine/block", preprocess=PREPROCESS).prefix()


@pytest.fixture(scope="module")
def sent_block(block):
    return pack_network(block)


def noise(count: int, prefix) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *prefix.pixel_shape), dtype=np.uint8)


def eager(prefix: Prefix, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return prefix.module(torch.from_numpy(pixels)).numpy()


def crossed(sent) -> dict:
    """A header as it is read from the wire."""
    return json.loads(json.dumps(sent.header))


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_known_network_has_the_recipe_of_a_local_extraction(lite0, precision):
    store, sent = MemoryStore(), pack_network(lite0, precision=precision)
    assert sent.header["kind"] == "weights"
    recipe = receive_network(store, crossed(sent), sent.payload, IntakeLimits())
    local, weights = recipe_of(lite0, precision=precision)
    assert recipe.digest == local.digest
    assert bytes(store.get(f"models/{local.weights}.safetensors")) == weights
    assert load_recipe(store, local.digest) == local


def test_a_stored_network_gives_the_same_features(lite0):
    store, sent = MemoryStore(), pack_network(lite0)
    recipe = receive_network(store, crossed(sent), sent.payload, IntakeLimits())
    network = StoredNetwork(store, recipe.digest)
    assert network.preprocess() == lite0.preprocess
    assert network.recipe().digest == recipe.digest
    assert network.weights_bytes == len(sent.payload)
    assert network.weights_name == lite0.weights_name
    loaded = network.load()
    pixels = noise(2, lite0)
    np.testing.assert_array_equal(eager(loaded, pixels), eager(lite0, pixels))


def test_equal_by_store_and_digest(lite0):
    one, other = MemoryStore(), MemoryStore()
    other.url = "memory://other"
    assert StoredNetwork(one, "a" * 64) == StoredNetwork(one, "a" * 64, allow_onnx=True)
    assert len({StoredNetwork(one, "a" * 64), StoredNetwork(one, "a" * 64), StoredNetwork(other, "a" * 64)}) == 2
    with pytest.raises(NotFound):
        StoredNetwork(one, "a" * 64).load()


def test_weights_spelled_otherwise_are_the_same_weights(lite0):
    """Safetensors of another writer, whose header is padded further: one recipe, and one spelling in the store."""
    store, sent = MemoryStore(), pack_network(lite0)
    (length,) = struct.unpack_from("<Q", sent.payload)
    text, body = sent.payload[8 : 8 + length], sent.payload[8 + length :]
    payload = struct.pack("<Q", length + 8) + text + b" " * 8 + body
    header = crossed(sent) | {"sha256": hashlib.sha256(payload).hexdigest()}
    recipe = receive_network(store, header, payload, IntakeLimits())
    assert recipe.digest == recipe_of(lite0)[0].digest
    assert bytes(store.get(f"models/{recipe.weights}.safetensors")) == sent.payload


def test_what_is_registered_is_not_rebuilt(lite0, sent_block, monkeypatch):
    store, sent = MemoryStore(), pack_network(lite0)
    first = [receive_network(store, crossed(one), one.payload, ONNX) for one in (sent, sent_block)]
    names = sorted(info.name for info in store.list(""))

    def never(*args, **kwargs):
        raise AssertionError("it is registered already")

    monkeypatch.setattr(intake, "rebuilt", never)
    monkeypatch.setattr(intake, "try_program", never)
    again = [receive_network(store, crossed(one), memoryview(one.payload), ONNX) for one in (sent, sent_block)]
    assert [one.digest for one in again] == [one.digest for one in first]
    assert sorted(info.name for info in store.list("")) == names


@pytest.mark.parametrize("at", [4, 5_000, 1_000_000])
def test_a_flipped_bit_in_weights_is_noticed(lite0, at):
    store, sent = MemoryStore(), pack_network(lite0)
    damaged = bytearray(sent.payload)
    damaged[at] ^= 4
    with pytest.raises(UsageError, match="damaged|expected weights"):
        receive_network(store, crossed(sent), damaged, IntakeLimits())
    assert list(store.list("")) == []


def test_a_shape_or_cut_that_is_not_the_networks(lite0):
    store, sent = MemoryStore(), pack_network(lite0)
    for change in ({"shape": [1281]}, {"cut": "middle"}, {"cut": "logits"}, {"architecture": "efficientnet_lite1"}):
        with pytest.raises(UsageError):
            receive_network(store, crossed(sent) | change, sent.payload, IntakeLimits())
    assert list(store.list("")) == []


def test_an_image_too_large_for_memory_is_found_before_it_runs(lite0):
    sent = pack_network(lite0)
    header = crossed(sent)
    header["preprocess"].update(crop_px=[2048, 2048], resize_px=2048)
    with pytest.raises(UsageError, match="makes a value of .* allowed are"):
        receive_network(MemoryStore(), header, sent.payload, IntakeLimits(max_memory_bytes=64 << 20))


def test_a_network_of_ones_own_goes_as_a_program(block, sent_block):
    store = MemoryStore()
    assert sent_block.header["kind"] == "onnx"
    recipe = receive_network(store, crossed(sent_block), sent_block.payload, ONNX)
    assert recipe.program == sent_block.header["sha256"]
    assert recipe.shape == (8,)
    network = StoredNetwork(store, recipe.digest, allow_onnx=True)
    loaded = network.load()
    assert isinstance(loaded, OnnxPrefix)
    assert recipe_of(loaded)[0].digest == recipe.digest
    with pytest.raises(UsageError, match="--allow-onnx"):
        StoredNetwork(store, recipe.digest).load()
    pixels = noise(5, block)
    choice = choose_executor(loaded, sample=pixels)
    try:
        expected = eager(block, pixels)
        assert np.abs(choice.executor.run(pixels) - expected).max() <= 1e-5 * np.abs(expected).max()
        assert choice.label == "onnx f32"
    finally:
        choice.executor.close()


@pytest.mark.parametrize("change", [{"name": "torch"}, {"precision": "bf16"}, {"device": "cuda"}])
def test_programs_run_as_onnx_f32_on_a_cpu_only(sent_block, change):
    loaded = OnnxPrefix(
        architecture="x", cut="y", preprocess=PREPROCESS, weights_name="", code=sent_block.payload, feature_shape=(8,)
    )
    with pytest.raises(UsageError, match="ONNX program"):
        choose_executor(loaded, sample=noise(1, loaded), **change)


def test_a_program_in_bf16_is_refused(block):
    with pytest.raises(UsageError, match="f32 only"):
        pack_network(block, precision="bf16")


def test_a_worker_extracts_with_a_stored_program(tmp_path, block, sent_block, write_manifest):
    """The features that a service stores are those of the user's own module."""
    store = hs.open_store(tmp_path / "store")
    pixels = noise(7, block)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    table = write_manifest(tmp_path / "noise.csv", [(tmp_path / f"{number}.png", "x") for number in range(7)])
    hs.ingest(store, "noise", hs.manifest(table), hs.IngestOptions(shard_bytes=10_000))
    recipe = receive_network(store, crossed(sent_block), sent_block.payload, ONNX)
    network = StoredNetwork(store, recipe.digest, allow_onnx=True)
    job = ExtractionJob(dataset="noise", network=network, codecs=("f32",), name="noise")
    report = extract_jobs(store, [job], WorkerOptions(memory_bytes=8 << 30, decode_threads=1))
    assert [one.state for one in report.jobs] == ["done"], report.jobs
    view = hs.open_view(store, "noise", recipe=recipe.digest, codec="f32")
    found = np.concatenate([b.features.copy() for b in hs.FeatureReader(view, hs.ReadOptions(shuffle="none")).epoch(0)])
    expected = eager(block, pixels)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_module_extracted_beside_the_store_cannot_be_rebuilt(tmp_path, block):
    store = hs.open_store(tmp_path / "store")
    recipe, weights = recipe_of(block)
    intake.register_recipe(store, recipe, weights)
    with pytest.raises(UsageError, match="register it as an ONNX program, or extract beside the store"):
        StoredNetwork(store, recipe.digest, allow_onnx=True).load()


def test_a_child_that_runs_a_program_has_no_network_and_sees_no_other_process(sent_block):
    """Read from outside: of a network namespace of its own, nothing but a loopback that is down."""
    loaded = OnnxPrefix(
        architecture="x", cut="y", preprocess=PREPROCESS, weights_name="", code=sent_block.payload, feature_shape=(8,)
    )
    executor = ChildExecutor(loaded, "onnx")
    try:
        process = Path(f"/proc/{executor.pid}")
        links = [line.split(":")[0].strip() for line in (process / "net/dev").read_text().splitlines()[2:]]
        assert links == ["lo"]
        for space in ("net", "user", "ipc"):
            assert (process / "ns" / space).readlink() != Path("/proc/self/ns", space).readlink()
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == 0
        limits = (process / "limits").read_text()
        assert "Max file size             1048576" in limits
    finally:
        executor.close()


def test_where_namespaces_are_forbidden_programs_are_refused(sent_block, monkeypatch, tmp_path):
    """A kernel that says no, in the place of the real one."""
    source = Path(confining.__file__).read_text()
    forbidden = tmp_path / "confining.py"
    forbidden.write_text(source.replace("if library.unshare(", "ctypes.set_errno(1)\n    if -1 or library.unshare("))
    assert forbidden.read_text() != source
    monkeypatch.setattr(confining, "__file__", str(forbidden))
    store = MemoryStore()
    with pytest.raises(UsageError, match=confining.NOT_CONFINED):
        receive_network(store, crossed(sent_block), sent_block.payload, ONNX)
    assert list(store.list("")) == []
    anyway = IntakeLimits(allow_onnx=True, require_confinement=False, max_seconds=120)
    assert receive_network(store, crossed(sent_block), sent_block.payload, anyway).shape == (8,)


def test_headers_are_left_as_they_are(lite0):
    sent = pack_network(lite0)
    header = crossed(sent)
    before = copy.deepcopy(header)
    receive_network(MemoryStore(), header, sent.payload, IntakeLimits())
    assert header == before
