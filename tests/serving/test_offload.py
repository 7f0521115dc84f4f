"""``offload`` and networks of one's own through a service, which neither has seen before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import hapistore as hs
from hapistore_torch import FeaturePipe, offload


class Small(torch.nn.Module):
    """A network that has no name anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=4)
        self.body = torch.nn.Conv2d(8, 16, 3, stride=4)
        self.head = torch.nn.Linear(16, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.body(torch.relu(self.stem(images)))
        return self.head(torch.relu(maps).mean((2, 3)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Small()


PREPROCESS = hs.Preprocess(resize_px=64, crop_px=(64, 64), mean_levels=(120.0,) * 3, std_levels=(60.0,) * 3)


@pytest.mark.usefixtures("confinement")
def test_a_network_of_ones_own_is_offloaded_as_onnx(serve, connect, copy_store, model):
    store = copy_store()
    client = connect(serve(store, "--allow-onnx").url)
    options = {"preprocess": PREPROCESS, "link": "100Mbit/s", "batch_size": 8, "codec": "f32", "name": "small"}
    tail, view = offload(model, client, "cells", freeze_until="body", cut="body", **options)
    before = model.head.weight.detach().clone()
    optimiser = torch.optim.SGD([p for p in tail.parameters() if p.requires_grad], lr=0.1)
    batches = 0
    for features, labels in FeaturePipe(view, batch_size=8, shuffle="none"):
        torch.nn.functional.cross_entropy(tail(features), labels).backward()
        batches += 1
    optimiser.step()
    assert batches == 3
    assert not torch.equal(before, model.head.weight)

    # What the service's confined process computes is what the network computes here.
    features = np.concatenate([b.features for b in hs.FeatureReader(view, hs.ReadOptions(shuffle="none")).epoch(0)])
    images = hs.ImageReader(store, "cells", hs.ReadOptions(shuffle="none", batch_size=24), preprocess=PREPROCESS)
    (batch,) = list(images.epoch(0))
    pixels = (torch.from_numpy(np.asarray(batch.images)).permute(0, 3, 1, 2).float() - 120.0) / 60.0
    with torch.no_grad():
        expected = model.body(torch.relu(model.stem(pixels)))
    np.testing.assert_allclose(features.reshape(expected.shape), expected.numpy(), atol=1e-3)


def test_a_service_that_takes_no_programs_says_how_it_would(serve, connect, copy_store, model):
    client = connect(serve(copy_store()).url)
    prefix = hs.backbone_from_module(model.stem, name="mine", preprocess=PREPROCESS, program="mine 1")
    with pytest.raises(hs.UsageError, match="--allow-onnx"):
        client.register(prefix.prefix())
