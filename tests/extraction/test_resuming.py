"""Only what is missing is done: after a stop, for another codec, for a dataset that shares images."""

from __future__ import annotations

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore.errors import MissingFeatures, UsageError


class _Stop(Exception):
    pass


def test_a_stopped_extraction_continues_with_what_is_missing(store, prefix):
    def stop_half_way(done, total):
        if done >= total // 2:
            raise _Stop

    with pytest.raises(_Stop):
        hs.extract(store, "mixed", prefix, on_progress=stop_half_way)
    with pytest.raises(MissingFeatures, match="hapistore extract mixed@1 --backbone efficientnet_lite0 --cut pool"):
        hs.open_view(store, "mixed")
    rest = hs.extract(store, "mixed", prefix)
    assert rest.present > 0
    assert 0 < rest.images < 48
    assert rest.present + rest.extracted == len(rest.version.shards)
    assert hs.verify_store(store).damaged == []
    assert hs.extract(store, "mixed", prefix).images == 0


def test_another_codec_is_transcoded_without_the_network(store, prefix):
    hs.extract(store, "mixed", prefix, codecs=["f32"])
    other = hs.extract(store, "mixed", prefix, codecs=["u8c+zstd", "f16"])
    assert (other.images, other.extracted, other.executor) == (0, 0, "")
    assert other.transcoded == len(other.version.shards)
    direct = hs.open_view(store, "mixed", codec="u8c+zstd")
    assert len(list(hs.FeatureReader(direct, hs.ReadOptions(batch_size=12)).epoch(0))) == 4


def test_progress_counts_every_image_once(store, prefix):
    seen = []
    hs.extract(store, "mixed", prefix, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (48, 48)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen} | {0})


def test_datasets_share_features_of_shared_shards(store, prefix, tmp_path):
    hs.extract(store, "mixed", prefix)
    options = hs.IngestOptions(shard_bytes=400_000)
    hs.ingest(store, "twin", hs.manifest(tmp_path / "mixed.csv"), options)
    assert hs.extract(store, "twin", prefix).images == 0


def test_a_converted_dataset_has_its_features(store, prefix):
    hs.extract(store, "mixed", prefix)
    for layout, label in (("lmdb", "mixed@2"), ("arrow", "mixed@3")):
        hs.convert(store, "mixed", layout=layout)
        again = hs.extract(store, "mixed", prefix)
        assert (again.version.label, again.images, again.present) == (label, 0, len(again.version.shards))
        assert hs.open_view(store, "mixed").version.label == label


def test_features_of_either_layout_are_the_same(store, prefix, tmp_path):
    options = hs.IngestOptions(shard_bytes=400_000, layout="lmdb")
    twin = hs.open_store(tmp_path / "twin")
    hs.ingest(twin, "mixed", hs.manifest(tmp_path / "mixed.csv"), options)
    batches = []
    for one in (store, twin):
        hs.extract(one, "mixed", prefix, codecs=["f32"])
        view = hs.open_view(one, "mixed")
        batches.append(np.concatenate([b.features.copy() for b in hs.FeatureReader(view).epoch(0)]))
    assert np.abs(batches[0] - batches[1]).max() <= 1e-4 * np.abs(batches[0]).max()


@pytest.mark.parametrize(
    ("dataset", "change", "message"),
    [
        ("mixes", {}, "did you mean mixed"),
        ("mixed@9", {}, "the newest is mixed@1"),
        ("mixed", {"codecs": ["u9c"]}, "none of f32"),
        ("mixed", {"options": hs.ExtractOptions(executor="abacus")}, "none of auto, torch, inductor, onnx, openvino"),
    ],
)
def test_what_cannot_be_is_refused(store, prefix, dataset, change, message):
    with pytest.raises((UsageError, hs.HapistoreError), match=message):
        hs.extract(store, dataset, prefix, **change)
    assert not any(store.list("features/"))


class TestAuto:
    def test_it_chooses_once_and_names_its_choice(self, store, prefix):
        first = hs.extract(store, "mixed", prefix, codecs=["auto", "f16"])
        assert first.codecs == ("u8c+zstd", "f16")
        assert first.choice.measured and first.choice.rows == first.version.shards[0].rows
        assert (first.images, first.extracted) == (48, len(first.version.shards))
        again = hs.extract(store, "mixed", prefix, codecs=["auto"])
        assert (again.codecs, again.images, again.choice.measured) == (("u8c+zstd",), 0, ())
        assert hs.open_view(store, "mixed", codec="u8c+zstd")
        assert not [info.name for info in store.list("features/") if "/auto/" in info.name]

    def test_stopped_it_goes_on_with_what_it_chose(self, store, prefix):
        def stop_after_the_first(done, total):
            if done > first.rows:
                raise _Stop

        first = resolve_version(store, "mixed").shards[0]
        with pytest.raises(_Stop):
            hs.extract(store, "mixed", prefix, codecs=["auto"], max_error=0.04, on_progress=stop_after_the_first)
        rest = hs.extract(store, "mixed", prefix, codecs=["auto"], max_error=0.04)
        assert rest.codecs == ("u4c+zstd",)
        assert rest.choice.measured == ()
        assert rest.images == 48 - first.rows
        assert rest.present == 1

    def test_another_bound_is_another_choice(self, store, prefix):
        hs.extract(store, "mixed", prefix, codecs=["auto", "f32"])
        other = hs.extract(store, "mixed", prefix, codecs=["auto"], max_error=0.04)
        assert (other.codecs, other.images) == (("u4c+zstd",), 0)
        assert other.transcoded == len(other.version.shards)
        third = hs.transcode(store, "mixed", codecs=["auto"], max_error=0)
        assert third.codecs == ("f32+zstd",)
        assert third.choice.measured
        assert hs.transcode(store, "mixed", codecs=["auto"], max_error=0).transcoded == 0

    def test_progress_counts_every_image_once(self, store, prefix):
        seen = []
        hs.extract(store, "mixed", prefix, codecs=["auto"], on_progress=lambda done, total: seen.append(done))
        assert seen[-1] == 48
        assert seen == sorted(seen)
