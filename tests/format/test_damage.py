"""No flipped bit, cut or appended byte of any stored file goes unnoticed or escapes as another exception."""

from __future__ import annotations

import pytest

from hapistore_format import DamagedError, FormatError, codec_names

KINDS = ["json", "version", "recipe", "weights", "images", "images lmdb", "seal", "annotations"]
KINDS += [f"features {c}" for c in codec_names()]


def test_all_kinds_are_here(kinds):
    assert sorted(kinds) == sorted(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_an_undamaged_file_opens(kinds, name):
    kind = kinds[name]
    assert kind.open(kind.data) is not None
    assert kind.open(memoryview(kind.data)) is not None


@pytest.mark.parametrize("name", KINDS)
def test_every_flipped_bit_is_found(kinds, make, name):
    kind = kinds[name]
    for changed in make.flips(kind.data):
        with pytest.raises(DamagedError) as caught:
            kind.open(changed)
        assert caught.value.where == "here"


@pytest.mark.parametrize("name", KINDS)
def test_every_truncation_is_found(kinds, name):
    kind = kinds[name]
    for length in range(len(kind.data)):
        with pytest.raises(DamagedError):
            kind.open(kind.data[:length])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("tail", [b"\0", b"\n", b" ", b"}", b"ARROW1", bytes(8), bytes(5000)])
def test_appended_bytes_are_found(kinds, name, tail):
    kind = kinds[name]
    with pytest.raises(DamagedError):
        kind.open(kind.data + tail)
    with pytest.raises(DamagedError):
        kind.open(tail + kind.data)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_twice_over_is_found(kinds, name):
    kind = kinds[name]
    with pytest.raises(DamagedError):
        kind.open(kind.data + kind.data)


@pytest.mark.parametrize("name", KINDS)
def test_exchanged_and_blanked_pieces_are_found(kinds, name):
    kind = kinds[name]
    size = len(kind.data)
    for start in range(0, size - 16, max(1, size // 40)):
        piece = kind.data[start : start + 16]
        for other in (bytes(16), piece[8:] + piece[:8]):
            if other != piece:
                with pytest.raises(DamagedError):
                    kind.open(kind.data[:start] + other + kind.data[start + 16 :])


@pytest.mark.parametrize("opened_as", KINDS)
@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_kind_is_refused(kinds, name, opened_as):
    features = {n for n in KINDS if n.startswith("features")}
    if name == opened_as or {name, opened_as} <= features or opened_as == "json":
        return
    with pytest.raises(FormatError):
        kinds[opened_as].open(kinds[name].data)


def test_several_blocks_are_each_checked(make):
    """A flip in any block of a file of several is found, and named by its block."""
    from hapistore_format import FeatureShardReader, write_feature_shard

    features = make.features(3000, (2,))
    data = bytearray(write_feature_shard(features, codec="f32", recipe=make.DIGEST, images=make.OTHER, provenance={}))
    found = set()
    for at in range(600, len(data) - 3000, 1500):
        data[at] ^= 1
        with pytest.raises(DamagedError, match=r"block \d|its bytes do not match") as caught:
            FeatureShardReader(bytes(data), where="here")
        found.add(caught.value.detail.partition(" (")[0])
        data[at] ^= 1
    assert {"block 0", "block 1", "block 2"} <= {text[:7] for text in found}
