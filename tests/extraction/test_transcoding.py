"""``transcode`` gives what extraction would have stored, and needs no network."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hapistore as hs
from hapistore.errors import UsageError


def features(store, codec):
    return {info.name: bytes(store.get(info.name)) for info in store.list("features/") if f"/{codec}/" in info.name}


def test_a_codec_made_from_f32_is_that_of_an_extraction(store, prefix):
    hs.extract(store, "mixed", prefix, codecs=["f32", "u8c+zstd"])
    extracted = features(store, "u8c+zstd")
    for name in extracted:
        store.delete(name)
    result = hs.transcode(store, "mixed", codecs=["u8c+zstd", "u4c+zstd"])
    assert (result.transcoded, result.present) == (len(result.version.shards), 0)
    view = hs.open_view(store, "mixed", codec="u8c+zstd")
    assert features(store, "u8c+zstd").keys() == extracted.keys()
    # Provenance differs, so files do; values do not.
    ours = next(iter(hs.FeatureReader(view, hs.ReadOptions(shuffle="none")).epoch(0))).features
    for name in extracted:
        store.delete(name)
        store.create(name, extracted[name])
    theirs = next(iter(hs.FeatureReader(view, hs.ReadOptions(shuffle="none")).epoch(0))).features
    assert (ours == theirs).all()
    assert hs.transcode(store, "mixed", codecs=["u8c+zstd"]).present == len(result.version.shards)
    assert hs.verify_store(store).damaged == []


def test_lossy_sources_must_be_named(store, prefix):
    hs.extract(store, "mixed", prefix, codecs=["f16"])
    with pytest.raises(UsageError, match=r"no f32 or f32\+zstd or f32\+lz4 features .*there is f16"):
        hs.transcode(store, "mixed", codecs=["u8c"])
    assert hs.transcode(store, "mixed", codecs=["u8c"], source="f16").transcoded > 0
    assert hs.open_view(store, "mixed", codec="u8c")


def test_nothing_to_make_it_from_is_said(store):
    with pytest.raises(UsageError, match="mixed@1 has no features"):
        hs.transcode(store, "mixed", codecs=["u8c"])


def test_the_command_needs_no_torch(store, prefix, environment):
    hs.extract(store, "mixed", prefix, codecs=["f32+zstd"])
    program = """
import sys
from hapistore.cli import main
main(sys.argv[1:], standalone_mode=False)
sys.exit("torch was imported" if "torch" in sys.modules else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "transcode", "mixed", "--codec", "u4c+zstd", "--store", store.url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "u4c+zstd" in done.stdout
