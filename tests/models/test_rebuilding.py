"""Known networks from their names and tensors: what is rebuilt computes the same, and nothing else is built."""

from __future__ import annotations

import socket

import pytest
import torch

from hapistore.errors import UsageError
from hapistore.models import is_rebuildable, load_backbone, rebuild_prefix, rebuilding


def prefix_of(name: str, cut: str):
    prefix = load_backbone(name, weights="random").prefix(cut)
    # Other values than a rebuilt network has before its tensors are loaded.
    with torch.no_grad():
        for tensor in prefix.weights().values():
            if tensor.is_floating_point():
                tensor.mul_(1.1)
    return prefix


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("efficientnet_lite0", "map"), ("efficientnet_lite0", "pool"), ("efficientnet_lite1", "logits"),
        ("torchvision/resnet18", "map"), ("torchvision/swin_t", "pool"), ("timm/resnet10t", "pool"),
        ("timm/vit_tiny_patch16_224", "map"),
    ],
)  # fmt: skip
def test_what_is_rebuilt_computes_the_same(name, cut, pixels_for, monkeypatch):
    pytest.importorskip(name.partition("/")[0] if "/" in name else "efficientnet_lite_pytorch")
    prefix = prefix_of(name, cut)
    monkeypatch.setattr(socket.socket, "connect", lambda *args: pytest.fail("it asks a network"))
    rebuilt = rebuild_prefix(name, cut, prefix.preprocess, prefix.weights(), weights_name="theirs")
    pixels = pixels_for(2, prefix)
    with torch.inference_mode():
        torch.testing.assert_close(rebuilt.module(pixels), prefix.module(pixels), rtol=0, atol=0)
    assert rebuilt.weights().keys() == prefix.weights().keys()
    assert rebuilt.feature_shape == prefix.feature_shape
    assert rebuilt.weights_name == "theirs"


@pytest.fixture(scope="module")
def lite0():
    return prefix_of("efficientnet_lite0", "pool")


def test_tensors_must_be_the_networks_own(lite0):
    weights = lite0.weights()
    first = next(iter(weights))
    wrong = {
        "is missing": {name: tensor for name, tensor in weights.items() if name != first},
        "none of its tensors": {**weights, "_fc.weight": torch.zeros(2)},
        "num_batches_tracked": {**weights, "_bn0.num_batches_tracked": torch.tensor(0)},
        "float16": {**weights, first: weights[first].half()},
        "expected torch.float32": {**weights, first: weights[first][..., :1].contiguous()},
    }
    for words, tensors in wrong.items():
        with pytest.raises(UsageError, match=words):
            rebuild_prefix("efficientnet_lite0", "pool", lite0.preprocess, tensors)


def test_wrong_tensors_are_noticed_before_anything_is_allocated(lite0, monkeypatch):
    """Known networks of gigabytes are built for nobody who lacks their weights."""
    devices = []
    real = rebuilding.load_backbone

    def spy(name, **options):
        backbone = real(name, **options)
        devices.append(next(backbone.whole().parameters()).device.type)
        return backbone

    monkeypatch.setattr(rebuilding, "load_backbone", spy)
    with pytest.raises(UsageError, match="do not fit"):
        rebuild_prefix("efficientnet_lite0", "pool", lite0.preprocess, {})
    assert devices == ["meta"]


def test_an_unknown_cut(lite0):
    with pytest.raises(UsageError, match="it has map, pool, logits"):
        rebuild_prefix("efficientnet_lite0", "middle", lite0.preprocess, lite0.weights())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("transformers/ViTModel-0123456789abcdef", "neither of which is asked"), ("transformers/.", "neither"),
        ("mine", "known are"), ("torchvision/../x", "known are"), ("timm/hf-hub:a/b", "known are"),
        ("timm/./folder", "known are"), ("/tmp/x", "known are"), ("torchvision/", "known are"),
        ("efficientnet_lite9", "known are"),
    ],
)  # fmt: skip
def test_names_that_are_not_rebuilt(name, words, lite0):
    assert not is_rebuildable(name)
    with pytest.raises(UsageError, match=words):
        rebuild_prefix(name, "pool", lite0.preprocess, lite0.weights())
