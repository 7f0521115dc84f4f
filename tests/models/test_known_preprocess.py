"""What a network that is handed over says of its preprocessing."""

from __future__ import annotations

import copy
import types

import pytest
import torch
from torch import nn

from hapistore.images import Preprocess
from hapistore.models import backbone_from_module, load_backbone, preprocess_for

USUAL_MEAN = (123.675, 116.28, 103.53)


def test_a_network_of_ours_keeps_its_own():
    backbone = load_backbone("efficientnet_lite0", weights="random")
    assert backbone.preprocess.mean_levels != USUAL_MEAN
    assert preprocess_for(backbone.whole()) == backbone.preprocess
    assert preprocess_for(copy.deepcopy(backbone.whole())) == backbone.preprocess


def test_a_network_that_has_a_part_called_preprocess_keeps_it():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.preprocess, self.body = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.body(self.preprocess(images)).mean((2, 3))

    own = Preprocess(resize_px=32, crop_px=(32, 32), mean_levels=(9.0,) * 3, std_levels=(5.0,) * 3)
    whole = backbone_from_module(Net(), name="net", preprocess=own).whole()
    assert preprocess_for(whole) == own
    assert whole(torch.zeros(1, 3, 32, 32)).shape == (1, 4)


def test_timm_networks_carry_a_configuration():
    timm = pytest.importorskip("timm")
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    preprocess = preprocess_for(model)
    assert preprocess.mean_levels == (127.5, 127.5, 127.5) and preprocess.interpolation == "bicubic"
    assert preprocess.crop_px == (224, 224) and preprocess.resize_px == 248
    model.pretrained_cfg = {"input_size": (3, 96, 96)}
    assert preprocess_for(model).mean_levels == pytest.approx(USUAL_MEAN)
    assert preprocess_for(model).crop_px == (96, 96)


def test_transformers_networks_say_how_large_images_are():
    model = nn.Identity()
    model.config = types.SimpleNamespace(image_size=518)
    assert preprocess_for(model).crop_px == (518, 518) and preprocess_for(model).resize_px == 592


def test_of_others_the_usual_is_taken():
    preprocess = preprocess_for(nn.Identity())
    assert preprocess.crop_px == (224, 224) and preprocess.resize_px == 256
    assert preprocess.mean_levels == USUAL_MEAN
