"""torchvision and timm: every cut runs, and preprocessing is the library's own."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from hapistore.models import load_backbone

torchvision = pytest.importorskip("torchvision")


def photograph(width: int = 331, height: int = 250) -> bytes:
    generator = np.random.default_rng(3)
    small = Image.fromarray(generator.integers(0, 256, (10, 12, 3), dtype=np.uint8))
    out = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("resnet18", {"pool": (512,), "map": (512, 7, 7), "logits": (1000,)}),
        ("mobilenet_v3_small", {"pool": (1024,), "map": (576, 7, 7), "logits": (1000,)}),
        ("densenet121", {"pool": (1024,), "map": (1024, 7, 7), "logits": (1000,)}),
        ("squeezenet1_1", {"map": (512, 13, 13), "logits": (1000,)}),
        ("googlenet", {"pool": (1024,), "logits": (1000,)}),
    ],
)
def test_torchvision_cuts(name, shapes):
    backbone = load_backbone(f"torchvision/{name}", weights="random")
    assert {cut: backbone.prefix(cut).feature_shape for cut in backbone.cuts} == shapes
    assert backbone.default_cut == ("pool" if "pool" in shapes else "map")


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_torchvision_pool_is_the_mean_of_map(name, pixels_for):
    backbone = load_backbone(f"torchvision/{name}", weights="random")
    pooled, mapped = backbone.prefix("pool"), backbone.prefix("map")
    pixels = pixels_for(2, pooled)
    with torch.inference_mode():
        torch.testing.assert_close(mapped.module(pixels).mean(dim=(2, 3)), pooled.module(pixels))
    # The same tensors by the same names: only the cut tells the two recipes apart.
    assert set(pooled.weights()) == set(mapped.weights())


def test_torchvision_preprocessing_is_the_librarys(pixels_for):
    backbone = load_backbone("torchvision/resnet18", weights="random")
    prefix = backbone.prefix("logits")
    data = photograph()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    network = prefix.module.get_submodule("network")
    with torch.inference_mode():
        expected = network(torchvision.models.ResNet18_Weights.DEFAULT.transforms()(picture)[None])
        found = prefix.module(torch.from_numpy(prefix.preprocess(data).copy())[None])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_torchvision_pretrained_files_load_with_names_of_old(monkeypatch):
    """DenseNet's files name layers ``norm.1``; ours must end in the same network as torchvision's own loader."""
    torch.manual_seed(4)
    network = torchvision.models.densenet121(weights=None)
    old = {
        key.replace("norm1", "norm.1").replace("conv2", "conv.2") if "denselayer" in key else key: tensor
        for key, tensor in network.state_dict().items()
    }
    weights_class = torchvision.models.DenseNet121_Weights
    monkeypatch.setattr(weights_class, "get_state_dict", lambda *_args, **_options: dict(old))
    found = load_backbone("torchvision/densenet121")
    assert found.weights_name == "torchvision weights DenseNet121_Weights.IMAGENET1K_V1"
    for name, tensor in found.prefix("logits").weights().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_timm_cuts_and_preprocessing(pixels_for):
    timm = pytest.importorskip("timm")
    backbone = load_backbone("timm/resnet10t", weights="random")
    cuts = {cut: backbone.prefix(cut) for cut in backbone.cuts}
    assert {cut: prefix.feature_shape for cut, prefix in cuts.items()} == {
        "pool": (512,),
        "map": (512, 6, 6),
        "logits": (1000,),
    }
    assert not [name for name in cuts["pool"].weights() if name.startswith("fc.")]
    pixels = pixels_for(2, cuts["pool"])
    with torch.inference_mode():
        pooled = cuts["pool"].module(pixels)
        torch.testing.assert_close(cuts["map"].module(pixels).mean(dim=(2, 3)), pooled)
    data = photograph()
    network = cuts["logits"].module.get_submodule("network")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    with torch.inference_mode():
        expected = network(transform(Image.open(io.BytesIO(data)).convert("RGB"))[None])
        found = cuts["logits"].module(torch.from_numpy(cuts["logits"].preprocess(data).copy())[None])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
