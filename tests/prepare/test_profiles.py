"""Measuring a network at its cuts."""

from __future__ import annotations

import copy
import json
import logging
import sys
from pathlib import Path

import pytest
import torch

from hapistore.catalog import resolve_version
from hapistore.errors import HapistoreError, UsageError
from hapistore.extraction.cut_profiles import KeptProfile, ProfileOptions, profile_cuts, sample_images
from hapistore.models import trace
from hapistore.planning import profile_from_json, profile_to_json

sys.path.insert(0, str(Path(__file__).parent))
from small_net import PREPROCESS, SIDE_PX

OPTIONS = ProfileOptions(batch_size=16, codecs=("u8c+zstd", "f32"))


@pytest.fixture
def sample(store):
    return sample_images(store, resolve_version(store, "cells"), PREPROCESS, count=8)


def test_the_sample_is_of_the_datasets_own_images(sample, store):
    assert (len(sample.encoded), sample.pixels.shape) == (8, (8, SIDE_PX, SIDE_PX, 3))
    assert sample.images == 48 and 20_000 < sample.bytes_per_image < 60_000
    assert (PREPROCESS(sample.encoded[3]) == sample.pixels[3]).all()


def test_every_part_is_measured_and_nothing_of_the_network_changes(model, sample):
    network = trace(model, (SIDE_PX, SIDE_PX))
    network.freeze("body")
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    progress = []
    profile = profile_cuts(
        network, sample, PREPROCESS, OPTIONS, name="small", on_progress=lambda *counts: progress.append(counts)
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert profile_from_json(json.loads(json.dumps(profile_to_json(profile)))) == profile

    images, *cuts = profile.cuts
    assert (images.index, images.storage_s_per_image, images.codecs) == (0, 0.0, {})
    assert images.bytes_per_image == profile.input_bytes_per_image == sample.bytes_per_image
    assert cuts[-1].index == profile.freeze_index == network.freeze_index
    by_index = {cut.index: cut for cut in network.cuts}
    for cut in cuts:
        assert cut.bytes_per_image == by_index[cut.index].bytes_per_image
        assert 0 < cut.storage_s_per_image <= cut.storage_s_high
        assert 0 < cut.compute_s_per_image <= cut.compute_s_high
        assert cut.storage_fixed_s > 0 and cut.memory_fixed_bytes > 0
        assert cut.codecs["u8c+zstd"].bytes_per_image < 0.3 * cut.bytes_per_image
        assert cut.bytes_per_image < cut.codecs["f32"].bytes_per_image < 1.5 * cut.bytes_per_image
    assert progress == [(done, 2 * len(cuts) + 2) for done in range(1, 2 * len(cuts) + 3)]


def test_where_nothing_is_frozen_there_are_images_only(model, sample):
    profile = profile_cuts(trace(model, (SIDE_PX, SIDE_PX)), sample, PREPROCESS, OPTIONS, name="small")
    assert [cut.index for cut in profile.cuts] == [0] and profile.freeze_index == 0


def test_options_that_cannot_be():
    for bad in ({"batch_size": 0}, {"codecs": ("u8c+zst",)}, {"decode_threads": 0}):
        with pytest.raises(HapistoreError):
            ProfileOptions(**bad)


class TestKept:
    """A profile is found again by what it depends on."""

    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    @pytest.fixture
    def profile(self):
        costs = {"storage_s_per_image": 0.1, "compute_s_per_image": 0.2}
        cuts = [{"index": 0, "name": "images", "bytes_per_image": 9, **costs}]
        cuts.append({"index": 3, "name": "stem.2", "bytes_per_image": 5, **costs})
        fields = {"input_bytes_per_image": 9, "freeze_index": 3, "images": 48, "overlap": "full", "cuts": cuts}
        return profile_from_json({**fields, "about": {"model": "small", "threads": "2"}})

    @staticmethod
    def kept(model, *, freeze="body", preprocess=PREPROCESS, name="small", dataset="d", **options):
        network = trace(model, (SIDE_PX, SIDE_PX))
        network.freeze(freeze)
        return KeptProfile(network, dataset, preprocess, ProfileOptions(**options), name=name)

    def test_it_is_the_same_after_training_and_another_after_anything_else(self, model, profile):
        assert self.kept(model).load() is None
        self.kept(model).save(profile)
        with torch.no_grad():
            model.fc.weight.add_(1.0)
            model.head[0].bias.zero_()
        assert self.kept(model).load() == profile
        assert self.kept(model, name="other").load().about["model"] == "other"
        assert self.kept(model, dataset="e").load() is None
        assert self.kept(model, batch_size=7).load() is None
        assert self.kept(model, codecs=("f32",)).load() is None
        assert self.kept(model, at=3).load() == profile == self.kept(model, at="stem.2").load()
        assert self.kept(model, at=2).load() is None
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.stem[0].weight.add_(1.0)
        assert self.kept(other).load() is None
        assert self.kept(model, freeze="head").load() is None

    def test_a_damaged_file_is_measured_again(self, model, profile, tmp_path, caplog):
        self.kept(model).save(profile)
        (file,) = (tmp_path / "cache/hapistore/cuts").iterdir()
        text = file.read_text()
        for damaged in ("", text[:-9], text.replace('"images": 48', '"images": -1'), "[]"):
            file.write_text(damaged)
            with caplog.at_level(logging.WARNING):
                assert self.kept(model).load() is None
            assert "is damaged and is measured again" in caplog.text
            caplog.clear()


def test_a_dataset_without_images_that_can_be_decoded(store):
    from hapistore.errors import ImageError

    def refuse(data):
        raise ImageError("truncated", "cut short")

    version = resolve_version(store, "cells")
    with pytest.raises(HapistoreError, match="no image of cells@1 that was tried can be decoded"):
        sample_images(store, version, refuse, count=4)


def test_a_codec_that_is_none_is_refused_before_anything_is_measured():
    with pytest.raises(HapistoreError):
        ProfileOptions(codecs=("nonsense",))
    with pytest.raises(UsageError):
        ProfileOptions(batch_size=-1)
