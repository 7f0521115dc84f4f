"""A network cut in two computes and trains as it does whole, at every place where it may be cut."""

from __future__ import annotations

import copy
import itertools
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from hapistore.errors import UsageError
from hapistore.models import trace

sys.path.insert(0, str(Path(__file__).parent))
import cut_nets

# Training through each of their cuts would take half of all the time; HAPISTORE_EVERY_CUT=1 does.
STRIDES = {} if os.environ.get("HAPISTORE_EVERY_CUT") else {"ResNet": 2, "DenseNet": 2, "EfficientNet": 4}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other make these small networks up to fifty times as slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=cut_nets.NETS)
def traced(request):
    """A network with its cuts, and the side of its images."""
    side = cut_nets.NETS[request.param][1]
    return trace(cut_nets.build(request.param), (side, side))


def images_for(traced, count: int = cut_nets.IMAGES) -> torch.Tensor:
    return torch.randn(count, 3, *traced.image_px, generator=torch.Generator().manual_seed(count))


def possible_cuts(traced):
    """Each cut, once all before it is frozen; cuts behind dropout that is part of the training are refused."""
    refused = 0
    for cut in traced.cuts:
        traced.model.requires_grad_(True)
        traced.freeze(cut.name)
        if traced.freeze_index < cut.index:
            refused += 1
            with pytest.raises(UsageError, match="lies past dropout"):
                traced.cut(cut.index)
        else:
            yield cut
    assert refused <= len(traced.cuts) // 4


def frozen_eval(model: nn.Module, prefix: nn.Module, tail: nn.Module) -> None:
    """Training mode for the whole network, but for those modules that the prefix has all of."""
    model.train()
    ours, theirs = ({path for path, _ in part.named_modules()} for part in (prefix, tail))
    for path, module in model.named_modules():
        below = {path, *(f"{path}.{name}" for name, _ in module.named_modules() if name)}
        if path and below & ours and not below & theirs:
            module.eval()


def test_whole_and_cut_compute_the_same(traced):
    traced.model.eval()
    images = images_for(traced)
    with torch.no_grad():
        whole = cut_nets.logits_of(traced.model(images))
        for cut in possible_cuts(traced):
            prefix, tail = traced.cut(cut.index)
            features = prefix(images)
            kept = features.clone()
            torch.testing.assert_close(cut_nets.logits_of(tail(features)), whole, rtol=1e-5, atol=1e-5)
            assert cut_nets.logits_of(tail(features[:1])).shape == (1, cut_nets.CLASSES)
            assert torch.equal(features, kept), "the tail overwrote what it was given"
            assert features.shape == (len(images), *cut.shape)
            assert features.nbytes == len(images) * cut.bytes_per_image


def test_three_steps_through_both_give_the_same_weights(traced):
    start = copy.deepcopy(traced.model.state_dict())
    images = images_for(traced)
    targets = torch.arange(len(images)) % cut_nets.CLASSES
    for cut in itertools.islice(possible_cuts(traced), 0, None, STRIDES.get(type(traced.model).__name__, 1)):
        traced.model.load_state_dict(start)
        prefix, tail = traced.cut(cut.name)
        tail.train()
        trainable = {name for name, parameter in tail.named_parameters() if parameter.requires_grad}
        features = prefix(images)
        assert not features.requires_grad
        steps(traced.model, lambda features=features, tail=tail: tail(features), targets)
        with_gradient = {name for name, parameter in traced.model.named_parameters() if parameter.grad is not None}
        assert with_gradient == trainable
        through_tail = copy.deepcopy(traced.model.state_dict())
        traced.model.load_state_dict(start)
        frozen_eval(traced.model, prefix, tail)
        steps(traced.model, lambda: traced.model(images), targets)
        assert_same(traced.model.state_dict(), through_tail, cut.name)
    traced.model.load_state_dict(start)


def test_all_of_it_computes_what_the_network_does_and_trains_as_the_tail(traced):
    traced.model.requires_grad_(True)
    traced.freeze(traced.cuts[len(traced.cuts) // 2].name)
    start = copy.deepcopy(traced.model.state_dict())
    images = images_for(traced)
    targets = torch.arange(len(images)) % cut_nets.CLASSES
    prefix, tail = traced.cut(traced.freeze_index)
    whole = traced.whole().eval()
    with torch.no_grad():
        expected, found = (cut_nets.logits_of(part(images)) for part in (traced.model, whole))
    torch.testing.assert_close(found, expected)
    features = prefix(images)
    tail.train()
    steps(traced.model, lambda: tail(features), targets)
    through_tail = copy.deepcopy(traced.model.state_dict())
    traced.model.load_state_dict(start)
    whole.train()
    steps(traced.model, lambda: whole(images), targets)
    assert_same(traced.model.state_dict(), through_tail, "all of it")
    assert any(not torch.equal(tensor, start[name]) for name, tensor in through_tail.items())
    traced.model.load_state_dict(start)


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], what: str) -> None:
    for name, tensor in found.items():
        if not torch.equal(tensor, expected[name]):  # which takes a fraction of the time
            torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5, msg=f"{what}: {name}")


def steps(model: nn.Module, forward, targets: torch.Tensor) -> None:
    """Three steps of gradient descent, dropout drawn alike each time they are taken."""
    model.zero_grad()
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    torch.manual_seed(7)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(cut_nets.logits_of(forward()), targets).backward()
        optimiser.step()
