"""What parts of a network cost: by shares and arithmetic, not by the clock."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hapistore.models import seconds_at_cuts, trace, training_seconds
from hapistore.models.timing import _at_batch_size


def test_seconds_rise_with_depth_and_leave_the_network_as_it_is():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2)).train()
    network = trace(model, (8, 8))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seconds = seconds_at_cuts(network, torch.randn(4, 3, 8, 8))
    assert len(seconds) == len(network.cuts) and sorted(seconds) == list(seconds) and seconds[0] > 0
    assert model.training and model[1].training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("trained", [True, False])
def test_a_copy_is_trained(trained):
    tail = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)).eval().requires_grad_(trained)
    before = {name: tensor.clone() for name, tensor in tail.state_dict().items()}
    found = training_seconds(tail, torch.randn(3, 6), batch_size=10)
    assert len(found) >= 3 and min(found) > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in tail.state_dict().items())
    assert not tail.training and all(parameter.grad is None for parameter in tail.parameters())


def test_what_a_step_costs_once_is_shared_by_the_whole_batch():
    once_s, each_s = 0.1, 0.01
    found = _at_batch_size(once_s + 8 * each_s, once_s + 16 * each_s, 16, 256)
    assert found == pytest.approx(each_s + once_s / 256)
    assert _at_batch_size(0.3, 0.2, 16, 256) == pytest.approx(0.2 / 256), "a disturbed run is no time below none"
    assert _at_batch_size(0.01, 0.2, 16, 256) == pytest.approx(0.2 / 16)
