"""From a network and a dataset to what trains."""

from __future__ import annotations

import copy
import logging
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import hapistore as hs
from hapistore.errors import HapistoreError, UsageError
from hapistore.prepare import in_words
from hapistore_torch import FeatureMapPipe, FeaturePipe, offload

sys.path.insert(0, str(Path(__file__).parent))
from small_net import PREPROCESS

SETTINGS = {"preprocess": PREPROCESS, "batch_size": 16, "sample": 8}


def options(**more) -> hs.PrepareOptions:
    return hs.PrepareOptions(**SETTINGS, **more)


def steps(module: nn.Module, batches) -> None:
    """One pass of gradient descent, dropout drawn alike each time."""
    torch.manual_seed(3)
    optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.05)
    for inputs, labels in batches:
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()
        optimiser.step()


def test_a_plan_measures_and_stores_nothing(model, store):
    names = [info.name for info in store.list()]
    planned = hs.plan_training(model, store, "cells", options(freeze_until="body", link="1Mbit/s", epochs=3))
    assert [info.name for info in store.list()] == names
    assert planned.link is None and planned.version.label == "cells@1"
    chosen = planned.plan.chosen
    assert 0 < chosen.cut.index <= planned.network.freeze_index, "an image takes 0.3 s on this link"
    assert chosen.cut.bytes_per_image < planned.measured.cuts[-1].bytes_per_image
    assert f"cut {chosen.cut.index} of {len(planned.network.cuts)} ({chosen.cut.name}) is best" in in_words(planned)
    again = hs.plan_training(model, store, "cells", options(freeze_until="body", link="1Mbit/s", epochs=3))
    assert again.measured == planned.measured, "kept"


def test_the_link_is_measured_where_it_is_not_given(model, store):
    planned = hs.plan_training(model, store, "cells@1", options(freeze_until="stem"))
    assert planned.link.bytes_per_s >= planned.link.low_bytes_per_s > 0
    assert planned.plan.resources.link_bytes_per_s == planned.link.bytes_per_s
    assert "over a link of" in in_words(planned)


@pytest.mark.parametrize("cut", [0, None, "stem.2"])
def test_training_what_was_offloaded_trains_the_network(model, store, cut, caplog):
    """The same weights as training the whole network on the images, its frozen layers frozen, wherever it is cut."""
    alone = copy.deepcopy(model)
    with caplog.at_level(logging.INFO, logger="hapistore.prepare"):
        tail, view = offload(
            model, store, "cells", freeze_until="body", link="1Mbit/s", epochs=3, codec="f32", cut=cut, **SETTINGS
        )
    assert sum(record.name == "hapistore.prepare" for record in caplog.records) == 1
    assert isinstance(view, hs.ImageView if cut == 0 else hs.View)
    reading = {"batch_size": 16, "shuffle": "window", "seed": 4}
    steps(tail.train(), FeaturePipe(view, **reading))

    alone.requires_grad_(False)
    for part in (alone.head, alone.fc):
        part.requires_grad_(True)
    alone.train()
    alone.stem.eval(), alone.body.eval()
    pixels = hs.ImageView(store=store, version=view.version, preprocess=PREPROCESS)
    steps(
        alone,
        (((images.permute(0, 3, 1, 2) - 128.0) / 64.0, labels) for images, labels in FeaturePipe(pixels, **reading)),
    )
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, alone.state_dict()[name], rtol=1e-3, atol=1e-4, msg=name)
    assert not torch.equal(model.fc.weight, type(model)().fc.weight)


def test_features_are_extracted_once(model, store):
    first, second = (
        hs.prepare_training(copy.deepcopy(model), store, "cells", options(freeze_until="body", cut="body.2", link=1e6))
        for _ in range(2)
    )
    assert first.view.recipe == second.view.recipe and first.plan.policy == "given"
    assert first.view.codec == "u8c+zstd"


def test_images_are_shipped_where_nothing_is_frozen(model, store):
    prepared = hs.prepare_training(model, store, "cells", options(link="50Mbit/s"))
    assert isinstance(prepared.view, hs.ImageView)
    assert "shipping the images is best" in in_words(prepared.planned)
    assert "nothing before the first cut is frozen" in in_words(prepared.planned)
    (images, _), *_ = FeaturePipe(prepared.view, batch_size=16)
    assert images.dtype == torch.uint8 and prepared.tail(images).shape == (16, 2)
    with pytest.raises(UsageError, match="use FeaturePipe"):
        FeatureMapPipe(prepared.view)


def test_features_that_may_not_be_stored_are_no_candidates(model, store):
    planned = hs.plan_training(model, store, "cells", options(freeze_until="body", link="1Mbit/s", disk_bytes=1000))
    assert [one.cut.index for one in planned.plan.candidates] == [0]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"freeze_until": "bodi"}, "did you mean body"),
        ({"freeze_until": "body", "cut": 99}, "cut 99"),
        ({"freeze_until": "body", "cut": "fc"}, "cut 'fc'"),
        ({"link": "fast"}, "write it like 1Gbit/s"),
        ({"codec": "u9"}, "u9"),
        ({"sample": 0}, "at least one image"),
        ({"policy": "best"}, "'best' is none of"),
    ],
)
def test_what_cannot_be_is_said(model, store, bad, said):
    with pytest.raises(HapistoreError, match=said):
        offload(model, store, "cells", **{"link": "1Gbit/s", **SETTINGS, **bad})


def test_a_network_without_an_address_in_the_store(model, store):
    with pytest.raises(UsageError, match="dogs"):
        offload(model, store, "dogs", **SETTINGS)
