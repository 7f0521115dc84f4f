"""A small store of real photographs; EfficientNet-Lite0 with its real weights, small networks with random ones."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hapistore as hs
from hapistore.images import Preprocess
from hapistore.models import Prefix

_HERE = Path(__file__).parent
_SIDE = 64
# Kept in a global: the definitions go with the object.
_SCHEMAS = torch.library.Library("torchvision", "FRAGMENT")


@pytest.fixture(scope="session")
def lite0():
    return hs.load_backbone("efficientnet_lite0").prefix("pool")


@pytest.fixture(scope="session")
def prefix(lite0):
    return lite0


@pytest.fixture
def store(tmp_path, photographs, imagenet, write_manifest):
    """48 photographs, JPEGs among them, in several image shards, as dataset ``mixed``."""
    images = [(path, "cell") for path in photographs[:28]] + [(path, "thing") for path, _ in imagenet]
    table = write_manifest(tmp_path / "mixed.csv", images)
    store = hs.open_store(tmp_path / "store")
    result = hs.ingest(store, "mixed", hs.manifest(table), hs.IngestOptions(shard_bytes=400_000))
    assert result.images == 48
    assert len(result.version.shards) > 3
    return store


@pytest.fixture
def noise(tmp_path, write_manifest):
    """Adds datasets of small noise images to a store: shards of three or so.

    ``magic``: levels that ``fragile_networks`` break on, by image.
    """
    store = hs.open_store(tmp_path / "noise-store")

    def write(dataset: str, count: int, magic: Mapping[int, int] | None = None) -> np.ndarray:
        pixels = np.random.default_rng(len(dataset)).integers(0, 200, (count, 8, 8, 3), dtype=np.uint8)
        for number, level in (magic or {}).items():
            pixels[number, 0, 0, 0] = level
        folder = tmp_path / dataset
        folder.mkdir()
        for number, image in enumerate(pixels):
            Image.fromarray(image).save(folder / f"{number:04d}.png")
        table = write_manifest(tmp_path / f"{dataset}.csv", [(path, "x") for path in sorted(folder.iterdir())])
        hs.ingest(store, dataset, hs.manifest(table), hs.IngestOptions(shard_bytes=2_000))
        return pixels

    return store, write


@pytest.fixture
def children_know_operators(monkeypatch):
    """Processes of executors know the operators of ``fragile_networks``."""
    monkeypatch.syspath_prepend(str(_HERE))
    monkeypatch.syspath_prepend(str(_HERE / "child_site"))


@pytest.fixture(scope="session")
def torchvision_models():
    """torchvision's models. On a CPU build of torch its import fails until two operators have schemas."""
    try:
        return importlib.import_module("torchvision.models")
    except ImportError:
        pytest.skip("torchvision is not installed")
    except RuntimeError:
        for name in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):  # other tests of this process have defined it
                _SCHEMAS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        return importlib.import_module("torchvision.models")


@pytest.fixture(scope="session")
def make_resnet(torchvision_models):
    """torchvision's ResNet-18 without its classifier, at 64 pixels, with the random weights of a seed."""

    def make(seed: int = 0) -> Prefix:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = torchvision_models.resnet18(weights=None)
        network.fc = torch.nn.Identity()
        return _small("test/resnet18", network)

    return make


@pytest.fixture(scope="session")
def resnet(make_resnet):
    return make_resnet()


@pytest.fixture(scope="session")
def vit(torchvision_models):
    """Three narrow layers of torchvision's vision transformer, at 64 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision_models.VisionTransformer(
            image_size=_SIDE, patch_size=16, num_layers=3, num_heads=4, hidden_dim=128, mlp_dim=256
        )
    network.heads = torch.nn.Identity()
    return _small("test/vit", network)


def _small(name: str, network: torch.nn.Module) -> Prefix:
    levels = (127.0, 127.0, 127.0)
    preprocess = Preprocess(resize_px=_SIDE, crop_px=(_SIDE, _SIDE), mean_levels=levels, std_levels=levels)
    return Prefix(architecture=name, cut="pool", preprocess=preprocess, weights_name="random", network=network)
