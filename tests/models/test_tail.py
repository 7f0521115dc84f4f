"""What is frozen, what is refused, and that a tail is the user's own network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from hapistore.errors import UsageError
from hapistore.models import cut, trace


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.relu(self.norm(self.conv(maps)) + maps)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.block1, self.block2 = Block(), Block()
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.block2(self.block1(self.stem(images)))
        return self.head(self.drop(maps.mean((2, 3))))


NAMES = ["stem", "block1.add", "block1.relu", "block2.add", "block2.relu", "mean", "drop"]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return trace(Net(), (16, 16))


@pytest.fixture
def images():
    return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_cuts_have_names_shapes_and_bytes(net):
    assert [cut.name for cut in net.cuts] == NAMES
    assert [cut.index for cut in net.cuts] == list(range(1, 8))
    assert (net.cuts[0].shape, net.cuts[0].bytes_per_image) == ((4, 14, 14), 4 * 4 * 14 * 14)


@pytest.mark.parametrize(
    ("until", "name"),
    [
        ("stem", "stem"), ("block1", "block1.relu"), ("block1.add", "block1.relu"), ("block2", "mean"),
        ("block2.conv", "block1.relu"), ("block2.norm", "mean"), ("mean", "mean"), ("drop", "mean"),
    ],
)  # fmt: skip
def test_what_is_frozen_says_how_far_it_may_be_cut(net, until, name):
    assert net.freeze_index == 0
    net.freeze(until)
    assert net.cuts[net.freeze_index - 1].name == name
    assert net.model.head.weight.requires_grad


def test_a_cut_past_a_trainable_parameter_is_refused_by_name(net):
    with pytest.raises(UsageError, match=r"cut 1 \(stem\) lies past the parameter stem.bias, which is trainable"):
        net.cut("stem")
    net.freeze("block1")
    with pytest.raises(UsageError, match=r"cut 4 \(block2.add\) lies past the parameter block2\..*cut at 3 or before"):
        net.cut(4)
    net.freeze("block2")
    with pytest.raises(UsageError, match="lies past dropout"):
        net.cut("drop")


@pytest.mark.parametrize("at", ["block1", "nothing", 0, 8])
def test_a_cut_that_is_none_is_refused(net, at):
    with pytest.raises(UsageError, match="there is no cut"):
        net.cut(at)


@pytest.mark.parametrize("until", ["block3", "block", "", "head.weight"])
def test_a_freeze_point_that_is_none_is_refused(net, until):
    with pytest.raises(UsageError, match="no module and no cut"):
        net.freeze(until)
    assert all(parameter.requires_grad for parameter in net.model.parameters())


def test_the_prefix_is_a_frozen_copy(net, images):
    net.freeze("block2")
    prefix, _ = net.cut("block1.relu")
    before = prefix(images)
    assert not prefix.training and not any(parameter.requires_grad for parameter in prefix.parameters())
    with torch.no_grad():
        net.model.stem.weight.zero_()
    net.model.train()(images)
    assert torch.equal(prefix(images), before)
    assert set(prefix.state_dict()) < set(net.model.state_dict())


def test_the_tail_shares_the_networks_parameters(net, images):
    net.freeze("block1")
    prefix, tail = net.cut("stem")
    model = net.model
    assert tail.get_parameter("head.weight") is model.head.weight
    assert tail.get_parameter("block1.conv.weight") is model.block1.conv.weight
    others = {name: torch.randn_like(tensor) for name, tensor in Net().state_dict().items() if "num" not in name}
    others |= {name: tensor.abs() for name, tensor in others.items() if name.endswith("var")}
    features = prefix(images)
    model.load_state_dict(others, strict=False)
    model.eval()
    expected = model.head(model.block2(model.block1(features)).mean((2, 3)))
    torch.testing.assert_close(tail(features), expected)
    saved = copy.deepcopy(tail.state_dict())
    assert set(saved) == {name for name in model.state_dict() if not name.startswith("stem")}
    model.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()})
    tail.load_state_dict(saved)
    torch.testing.assert_close(tail(features), expected)


def test_either_sets_the_mode_of_both(net, images):
    net.freeze("block1")
    net.model.eval()
    prefix, tail = net.cut("stem")
    features = prefix(images)
    assert not tail.training and torch.equal(tail(features), tail(features))
    net.model.train()
    assert not torch.equal(tail(features), tail(features))
    tail.eval()
    assert not net.model.drop.training and torch.equal(tail(features), tail(features))
    tail.train()
    assert net.model.training and net.model.drop.training


def test_where_the_cut_is_changes_no_training(images):
    """Frozen layers behind the cut stay as they are: their batch norms count nothing, their dropout is off."""
    found = []
    for at in ("stem", "block1.relu", "block2.relu"):
        torch.manual_seed(0)
        net = trace(Net(), (16, 16))
        net.freeze("block2")
        prefix, tail = net.cut(at)
        tail.train()
        features = prefix(images)
        optimiser = torch.optim.SGD([p for p in tail.parameters() if p.requires_grad], lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            tail(features).square().mean().backward()
            optimiser.step()
        found.append(copy.deepcopy(net.model.state_dict()))
    for other in found[1:]:
        for name, tensor in found[0].items():
            assert torch.equal(tensor, other[name]), name


class SharedModules(nn.Module):
    """One dropout and one activation for all layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 2)
        self.drop, self.relu = nn.Dropout(0.5), nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.drop(self.relu(self.conv1(images)))
        maps = self.drop(self.relu(self.conv2(maps)))
        return self.head(self.drop(maps.mean((2, 3))))


def test_a_dropout_that_serves_frozen_and_trained_layers_is_off_in_the_frozen_ones(images):
    model = SharedModules()
    prefix, tail = cut(model, "conv1", image_px=(16, 16), freeze_until="conv2")
    features = prefix(images)
    tail.train()
    assert model.drop.training
    torch.manual_seed(1)
    found = tail(features)
    torch.manual_seed(1)
    maps = model.relu(model.conv2(model.relu(features)))
    expected = model.head(model.drop(model.drop(maps).mean((2, 3))))
    torch.testing.assert_close(found, expected)
    assert set(tail.state_dict()) < set(model.state_dict())


def test_a_copied_tail_is_a_network_of_its_own(net, images):
    net.freeze("block1")
    prefix, tail = net.cut("block1.relu")
    other = copy.deepcopy(tail)
    features = prefix(images)
    other.eval()
    before = other(features)
    with torch.no_grad():
        tail.get_parameter("head.weight").zero_()
    assert torch.equal(other(features), before) and net.model.training


def test_all_of_it_is_the_network_with_what_is_frozen(net, images):
    net.freeze("block1")
    whole, model = net.whole(), net.model
    assert set(whole.state_dict()) == set(model.state_dict())
    assert all(whole.get_parameter(name) is parameter for name, parameter in model.named_parameters())
    model.train()
    assert not whole.get_submodule("block1.norm").training
    whole(images).sum().backward()
    assert model.block1.norm.num_batches_tracked == 0 and model.block2.norm.num_batches_tracked == 1
    assert model.stem.weight.grad is None and model.head.weight.grad is not None
    model.eval()
    torch.testing.assert_close(whole(images), model(images))


def test_all_of_it_is_trained_where_nothing_is_frozen(net, images):
    assert net.freeze_index == 0
    net.whole().train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in net.model.parameters())
    assert net.model.block1.norm.num_batches_tracked == 1
