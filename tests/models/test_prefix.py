"""A prefix is a frozen copy: normalised as its preprocessing says, and apart from the module it came from."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save
from torch import nn

from hapistore.errors import UsageError
from hapistore.images import Preprocess
from hapistore.models import Backbone, Prefix

PREPROCESS = Preprocess(
    resize_px=64, crop_px=(64, 48), mean_levels=(10.0, 20.0, 30.0), std_levels=(2.0, 4.0, 8.0)
)  # fmt: skip


def prefix_of(network: nn.Module) -> Prefix:
    return Prefix(architecture="net", cut="end", preprocess=PREPROCESS, weights_name="random weights", network=network)


def test_normalises_and_orders_channels(some_pixels):
    found = prefix_of(nn.Identity()).module(some_pixels)
    mean, std = torch.tensor(PREPROCESS.mean_levels), torch.tensor(PREPROCESS.std_levels)
    torch.testing.assert_close(found, ((some_pixels.float() - mean) / std).permute(0, 3, 1, 2))
    assert found.dtype == torch.float32


def test_a_network_that_uses_view_works():
    class Views(nn.Module):
        def forward(self, images):
            return images.view(images.shape[0], -1)

    assert prefix_of(Views()).feature_shape == (3 * 64 * 48,)


def test_frozen_copy_leaves_the_module_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    prefix = prefix_of(network)
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module.training for module in prefix.module.modules())
    assert not any(parameter.requires_grad for parameter in prefix.module.parameters())
    with torch.no_grad():
        network[0].weight.zero_()
    assert prefix.weights()["0.weight"].abs().sum() > 0


def test_weights_can_be_written_as_safetensors_even_if_tied():
    first, second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
    second.weight = first.weight
    weights = prefix_of(nn.Sequential(first, second, nn.BatchNorm2d(3))).weights()
    assert set(weights) == {
        *("0.weight", "0.bias", "1.weight", "1.bias"),
        *("2.weight", "2.bias", "2.running_mean", "2.running_var"),
    }
    assert len(save(weights)) > 0


def test_half_precision_output_becomes_float32():
    class Half(nn.Module):
        def forward(self, images):
            return images.mean(dim=(2, 3)).half()

    prefix = prefix_of(Half())
    assert prefix.module(torch.zeros((2, 64, 48, 3), dtype=torch.uint8)).dtype == torch.float32


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (nn.Linear(7, 2), r"cut 'end' of net cannot run on a 64×48 image: RuntimeError"),
        (nn.Flatten(0), r"returned shape \(9216,\) for 1 image"),
    ],
)
def test_networks_that_do_not_fit(network, complaint):
    with pytest.raises(UsageError, match=complaint):
        prefix_of(network)


def test_unknown_cut_names_those_there_are():
    backbone = Backbone(
        architecture="net",
        weights_name="random weights",
        preprocess=PREPROCESS,
        cuts={"early": nn.Identity, "late": nn.Identity},
        default_cut="late",
    )
    assert backbone.prefix().cut == "late"
    with pytest.raises(UsageError, match=r"net has no cut 'middle'; it has early, late \(default late\)"):
        backbone.prefix("middle")
