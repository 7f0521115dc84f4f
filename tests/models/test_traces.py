"""Networks that do otherwise in training, work in place or count, and those that cannot be traced."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from hapistore.errors import UsageError
from hapistore.models import cut, trace

sys.path.insert(0, str(Path(__file__).parent))
import own_nets


@pytest.fixture
def images():
    return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class NoisyInTraining(nn.Module):
    """An operator in training only, and another of the same kind in the same module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv1(images)
        if self.training:
            maps = maps * 3
        return self.head((self.conv2(maps) * 2).mean((2, 3)))


def test_operators_of_one_mode_are_not_taken_for_those_of_the_other(images):
    model = NoisyInTraining()
    network = trace(model, (16, 16))
    assert [one.name for one in network.cuts] == ["conv1", "conv2", "mean"]
    network.freeze("conv1")
    prefix, tail = network.cut("conv1")
    for training in (False, True):
        tail.train(training)
        torch.testing.assert_close(tail(prefix(images)), model(images))
    network.freeze("conv2")
    prefix, tail = network.cut("conv2")
    torch.testing.assert_close(tail(prefix(images)), model.eval()(images))


class Masking(own_nets.Branches):
    """What else may be given is what the code branches on, in the last of its layers too: timm's ViTs do so."""

    def forward(self, images: torch.Tensor, mask: torch.Tensor | None = None, *, scale: float = 1.0, **more):
        logits = super().forward(images)
        if mask is not None:
            logits = logits * mask
        return logits * scale


def test_other_arguments_keep_their_defaults(images):
    plain, masking = own_nets.Branches(), Masking()
    masking.load_state_dict(plain.state_dict())
    names = [one.name for one in trace(plain, (16, 16)).cuts]
    network = trace(masking, (16, 16))
    assert [one.name for one in network.cuts] == names
    network.freeze(names[0])
    prefix, tail = network.cut(names[0])
    torch.testing.assert_close(tail.eval()(prefix(images)), plain.eval()(images))


class DroppingInPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop, self.head = nn.Conv2d(3, 4, 3), nn.Dropout(0.5, inplace=True), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.conv(images).mean((2, 3))))


def test_what_works_in_place_in_training_only_overwrites_no_features(images):
    prefix, tail = cut(DroppingInPlace().eval(), "mean", image_px=(16, 16), freeze_until="mean")
    features = prefix(images)
    kept = features.clone()
    tail.train()(features)
    assert torch.equal(features, kept)


class Rounding(nn.Module):
    """Computes with bfloat16 in between."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv2(self.conv1(images).bfloat16().float()).mean((2, 3)))


def test_features_are_float32(images):
    names = [one.name for one in trace(Rounding(), (16, 16)).cuts]
    assert names == ["conv1", "float", "conv2", "mean"]


class CountingNorm(nn.BatchNorm2d):
    """A batch norm with code of its own, as timm's are."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.num_batches_tracked.add_(1)
        statistics = self.running_mean, self.running_var
        return nn.functional.batch_norm(maps, *statistics, self.weight, self.bias, self.training)


class Counting(own_nets.Branches):
    def __init__(self) -> None:
        super().__init__()
        self.project[1] = CountingNorm(4)


def test_batch_norms_of_other_classes_count_their_steps(images):
    model = Counting()
    prefix, tail = cut(model, "stem.2", image_px=(16, 16), freeze_until="stem.2")
    features = prefix(images)
    for _ in range(2):
        tail.train()(features)
    assert model.project[1].num_batches_tracked == 2


def test_tracing_leaves_the_network_as_it_is(images):
    for build in (own_nets.Branches, Counting, own_nets.Tracked):
        model = build()
        model.head.eval()
        modes = [module.training for module in model.modules()]
        state = copy.deepcopy(model.state_dict())
        random = torch.get_rng_state()
        trace(model, (16, 16))
        assert [module.training for module in model.modules()] == modes
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
        assert torch.equal(torch.get_rng_state(), random)


def test_networks_that_cannot_be_cut_say_why():
    class Branches(nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

    with pytest.raises(UsageError, match=r"Branches cannot be cut: torch.fx .*, nor can torch.export"):
        trace(Branches(), (8, 8))
    with pytest.raises(UsageError, match="cannot be cut"):
        trace(own_nets.OverwritingView(), (8, 8))
    with pytest.raises(UsageError, match="no place where one tensor crosses"):
        trace(nn.Sequential(nn.ReLU()), (8, 8))
