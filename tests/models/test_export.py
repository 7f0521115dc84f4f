"""Prefixes export with any number of images in an extraction batch, and compute the same then."""

from __future__ import annotations

import pytest
import torch

from hapistore.models import load_backbone


def exported(prefix, pixels: torch.Tensor) -> torch.nn.Module:
    dynamic = ({0: torch.export.Dim("n")},)
    return torch.export.export(prefix.module, (pixels,), dynamic_shapes=dynamic).module()


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("efficientnet_lite0", "pool"),
        ("efficientnet_lite0", "logits"),
        ("torchvision/resnet18", "pool"),
        ("torchvision/resnet18", "map"),
        ("timm/mobilenetv3_small_050", "pool"),
    ],
)
def test_export_with_any_number_of_images(name, cut, pixels_for):
    package = name.partition("/")[0]
    pytest.importorskip("efficientnet_lite_pytorch" if package == "efficientnet_lite0" else package)
    prefix = load_backbone(name, weights="random").prefix(cut)
    graph = exported(prefix, pixels_for(2, prefix))
    for count in (1, 3, 5):
        pixels = pixels_for(count, prefix)
        with torch.inference_mode():
            expected, found = prefix.module(pixels), graph(pixels)
        assert found.shape == (count, *prefix.feature_shape)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected)
