"""Cuts where several tensors cross: which there are, what they are called, and what is in their features."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from hapistore.errors import UsageError
from hapistore.models import cut, trace

sys.path.insert(0, str(Path(__file__).parent))
import cut_nets
import own_nets


def several(network) -> list:
    return [one for one in network.cuts if len(one.parts) > 1]


@pytest.fixture
def images():
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_they_have_names_shapes_and_bytes():
    network = trace(own_nets.Branches(), (16, 16))
    names = [one.name for one in several(network)]
    assert names == [
        *(f"pool+wide.2+deep.{place}" for place in ("0.0", "0.1", "0.2", "1.0", "1.1", "1.2")),
        *(f"wide.2+deep.1.2+project.{place}" for place in (0, 1, 2)),
    ]
    assert [one.index for one in network.cuts] == list(range(1, 16))
    one = network.cuts[3]
    assert (one.name, one.parts) == (names[0], ((8, 8, 8), (4, 8, 8), (4, 8, 8)))
    assert (one.shape, one.bytes_per_image) == ((1024,), 4096)
    assert (network.cuts[0].parts, network.cuts[0].shape) == (((8, 16, 16),), (8, 16, 16))


@pytest.mark.parametrize("name", ["branches", "shortcut", "exported_branches"])
def test_they_are_few_tensors_and_smaller_than_the_last_alone(name):
    alone, found = 0, 0
    for one in trace(cut_nets.build(name), (16, 16)).cuts:
        if len(one.parts) == 1:
            alone = one.bytes_per_image
        else:
            found += 1
            assert len(one.parts) == one.name.count("+") + 1 <= 3
            assert one.bytes_per_image < alone
    assert found >= 6


def test_a_shortcut_that_stays_as_large_as_before_gives_none():
    assert not several(trace(cut_nets.build("resnet18"), (32, 32)))


def test_two_views_of_what_is_overwritten_later_are_no_cut():
    network = trace(own_nets.Shortcut(), (16, 16))
    assert [one.name for one in several(network)] == [
        "pool+conv1", "mul+add", "mul+add+conv3", "mul+add#2", "mul+mean", "mean+mean#2",
    ]  # fmt: skip


def test_the_features_are_the_tensors_side_by_side(images):
    model = own_nets.Branches().eval()
    prefix, tail = cut(model, "pool+wide.2+deep.0.0", image_px=(16, 16), freeze_until="deep.0.0")
    maps = model.stem(images)
    parts = (model.pool(maps), model.wide(maps), model.deep[0][0](maps))
    expected = torch.cat([part.flatten(1) for part in parts], 1)
    torch.testing.assert_close(prefix(images), expected)
    for count in (0, 1, 4):
        assert prefix(images[:count]).shape == (count, 1024)
        torch.testing.assert_close(tail(expected[:count]), model(images[:count]))


class Viewing(own_nets.Branches):
    """Takes a branch apart by view(), which only a tensor without gaps allows."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images)
        pooled, wide, deep = self.pool(maps), self.wide(maps), self.deep(maps)
        pooled = pooled.view(-1).view(pooled.shape)
        return self.head(torch.cat((self.project(pooled), wide, deep), 1).mean((2, 3)))


def test_each_is_a_tensor_without_gaps(images):
    model = Viewing().eval()
    prefix, tail = cut(model, "pool+wide.2+deep.1.2", image_px=(16, 16), freeze_until="deep")
    torch.testing.assert_close(tail(prefix(images)), model(images))


def test_a_number_for_each_image_may_be_among_them(images):
    network = trace(own_nets.ExportedBranches(), (16, 16))
    assert network.cuts[8].parts == ((), (8, 8, 8))
    assert network.cuts[8].shape == (513,)


def test_one_may_be_frozen_until_and_trained_from(images):
    network = trace(own_nets.Branches(), (16, 16))
    network.freeze("pool+wide.2+deep.0.0")
    assert [name for name, parameter in network.model.named_parameters() if not parameter.requires_grad] == [
        name for name, _ in network.model.named_parameters() if name.startswith(("stem", "wide", "deep.0.0"))
    ]
    assert network.freeze_index == 4
    with pytest.raises(UsageError, match=r"cut 5 \(pool\+wide.2\+deep.0.1\) lies past the parameter deep.0.1.bias"):
        network.cut(5)
    prefix, tail = network.cut("stem.0")
    tail.train()(prefix(images)).sum().backward()
    with_gradient = {name for name, parameter in network.model.named_parameters() if parameter.grad is not None}
    assert with_gradient == {name for name, parameter in network.model.named_parameters() if parameter.requires_grad}


class NoisyBranch(own_nets.Branches):
    """What crosses beside the others is an operator in training, and one of the same name follows in both modes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images)
        pooled, wide, deep = self.pool(maps), self.wide(maps), self.deep(maps)
        if self.training:
            pooled = pooled * 3
        joined = torch.cat((self.project(pooled * 2), wide, deep), 1)
        return self.head(joined.mean((2, 3)))


def test_operators_of_one_mode_are_not_taken_for_those_of_the_other(images):
    model = NoisyBranch()
    network = trace(model, (16, 16))
    names = [one.name for one in several(network)]
    assert "pool+wide.2+deep.1.2" in names and "wide.2+deep.1.2+project.2" in names
    assert not any("mul" in name for name in names)
    network.freeze("pool+wide.2+deep.1.2")
    prefix, tail = network.cut(network.freeze_index)
    features = prefix(images)
    for training in (False, True):
        tail.train(training)
        for part in model.children():
            part.eval()
        torch.testing.assert_close(tail(features), model(images))
