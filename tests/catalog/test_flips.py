"""Ten thousand flipped bits, over every kind of stored file: verification names each, and no reader is taken in.

A round flips one bit in each file of a store, on the disk. One verification then answers for as many independent
flips as there are files, and each file goes through its own reader.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog import load_recipe, read_version, require_store, resolve_version, verify_store, verifying
from hapistore.catalog.datasets import find_expiry
from hapistore.catalog.expiring import expire_versions, roll_back
from hapistore.catalog.images import open_images
from hapistore.catalog.names import parse_name
from hapistore.errors import HapistoreError
from hapistore.ingestion import load_quarantine
from hapistore.stores import FolderStore
from hapistore_format import AnnotationShard, FeatureShardReader, FileSeal, codec_names, read_sealed_json, read_weights
from hapistore_format.sealed_arrow import SealedFile

FLIPS = 10_000
KINDS = {"marker", "version", "expiry", "quarantine", "recipe", "weights", "images arrow", "images lmdb", "seal"}
KINDS |= {"annotations", *(f"features {codec}" for codec in codec_names())}


@pytest.fixture(scope="module")
def store(make, tmp_path_factory) -> FolderStore:
    """The same images as pets, in layout arrow with features of every codec, and as cats, in layout lmdb."""
    root = tmp_path_factory.mktemp("flips")
    store, photos = FolderStore(root / "store"), make.photos(root / "photos")
    for dataset, layout in (("pets", "arrow"), ("cats", "lmdb")):
        hs.ingest(store, dataset, hs.image_folder(photos), hs.IngestOptions(layout=layout))
    hs.convert(store, "cats", layout="arrow")
    roll_back(store, "cats@1")
    expire_versions(store, "cats", keep=1)
    recipe = make.recipe(store)
    for codec in codec_names():
        make.features(store, resolve_version(store, "pets"), recipe, codec)
    return store


@pytest.fixture(scope="module")
def readers(store) -> dict[str, Callable[[], Any]]:
    """How each object is read, by name."""
    return {info.name: reader_of(store, info.name) for info in store.list()}


@pytest.fixture(scope="module")
def whole(readers) -> dict[str, Any]:
    """What each reader gives of the undamaged store."""
    return {name: read() for name, read in readers.items()}


def kind_of(name: str) -> str:
    kind, parts = parse_name(name)
    return " ".join([kind, *(parts[part] for part in ("layout", "codec") if part in parts)])


def reader_of(store: FolderStore, name: str) -> Callable[[], Any]:
    kind, parts = parse_name(name)
    if kind == "quarantine":
        version = resolve_version(store, parts["dataset"])
        return lambda: load_quarantine(store, version)
    return {
        "marker": lambda: (require_store(store), read_sealed_json(store.get(name), where=name)),
        "expiry": lambda: find_expiry(store, parts["dataset"], int(parts["number"])),
        "version": lambda: read_version(store, parts["dataset"], int(parts["number"])),
        "recipe": lambda: load_recipe(store, parts["digest"]).serialise(),
        "weights": lambda: read_weights(store.get(name), parts["digest"], where=name),
        "images": lambda: list(open_images(store, parts["digest"], parts["layout"]).records()),
        "seal": lambda: FileSeal.parse(store.get(name), where=name),
        "annotations": lambda: AnnotationShard(store.get(name), where=name).table.to_pydict(),
        "features": lambda: FeatureShardReader(store.get(name), where=name).features().tobytes(),
    }[kind]


def outcome(read: Callable[[], Any], right: Any) -> str:
    """``refused`` with an error of ours, the ``right`` values, or ``wrong`` ones; any other error is the test's."""
    try:
        return "right" if read() == right else "wrong"
    except HapistoreError:
        return "refused"


@contextmanager
def flipped(store: FolderStore, bits: dict[str, int]) -> Iterator[None]:
    """One bit of each named object, on the disk and for as long as this lasts."""
    before = {name: int.from_bytes(store.get(name), "little") for name in bits}
    for name, bit in bits.items():
        flip(store, name, bit)
        changed = int.from_bytes(store.get(name), "little") ^ before[name]
        assert changed == 1 << bit, f"{name} does not differ in bit {bit} alone"
    try:
        yield
    finally:
        for name, bit in bits.items():
            flip(store, name, bit)


def flip(store: FolderStore, name: str, bit: int) -> None:
    with open(store.local_path(name), "r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def rounds(store: FolderStore, flips: int) -> Iterator[dict[str, int]]:
    """Bits by object, no bit of a file twice. A file and its seal take turns: of two, verification names the seal."""
    sizes = {info.name: info.bytes for info in store.list()}
    number = -(-flips // (len(sizes) - 1))
    chosen = {name: random.Random(name).sample(range(8 * size), number) for name, size in sizes.items()}
    for turn in range(number):
        rests = ("seal", "images lmdb")[turn % 2]
        yield {name: bits[turn] for name, bits in chosen.items() if kind_of(name) != rests}


def unnamed(store: FolderStore, bits: dict[str, int]) -> set[str]:
    """Objects that are flipped and not damaged for verification, or the other way round."""
    return set(bits) ^ {damage.name for damage in verify_store(store).damaged}


def test_the_store_has_every_kind_and_is_whole(store, readers, whole):
    assert {kind_of(name) for name in readers} == KINDS
    assert verify_store(store).damaged == []
    assert {outcome(read, whole[name]) for name, read in readers.items()} == {"right"}


def test_every_flip_is_named_by_verification_and_refused_by_the_reader(store, readers, whole):
    flips: Counter[str] = Counter()
    outcomes: Counter[tuple[str, str]] = Counter()
    for bits in rounds(store, FLIPS):
        with flipped(store, bits):
            assert unnamed(store, bits) == set(), bits
            for name in bits:
                flips[kind_of(name)] += 1
                outcomes[kind_of(name), outcome(readers[name], whole[name])] += 1
    assert flips.total() >= FLIPS and set(flips) == KINDS and min(flips.values()) > FLIPS / 60
    assert outcomes == {(kind, "refused"): number for kind, number in flips.items()}  # as no bit is outside
    assert verify_store(store).damaged == []  # all are put back


def test_flips_through_the_public_face(store, readers):
    """A view reads marker, version, recipe, annotations and the features of one codec; what else there is may break."""

    def epoch() -> list[bytes]:
        view = hs.open_view(store, "pets", codec="u8c+zstd")
        batches = hs.FeatureReader(view, hs.ReadOptions(batch_size=5)).epoch(0)
        return [np.asarray(part).tobytes() for batch in batches for part in batch[:3]]

    right = epoch()
    needed = {"marker", "recipe", "annotations", "features u8c+zstd"}
    for bits in rounds(store, 500):
        for name, bit in bits.items():
            with flipped(store, {name: bit}):
                read = kind_of(name) in needed or "pets/versions" in name
                assert outcome(epoch, right) == ("refused" if read else "right"), (name, bit)


class TestAFaultWouldBeSeen:
    @pytest.fixture
    def bits(self, store) -> dict[str, int]:
        """A bit in the middle of each file, where feature shards have their values; none of a seal."""
        sizes = {info.name: info.bytes for info in store.list() if kind_of(info.name) != "seal"}
        return {name: 8 * (size // 2) for name, size in sizes.items()}

    # Versions and recipes are read a second time, for what they need.
    @pytest.mark.parametrize("kind", sorted(set(verifying._CHECKS) - {"seal", "version", "recipe"}))
    def test_of_verification(self, store, bits, kind, monkeypatch):
        monkeypatch.setitem(verifying._CHECKS, kind, lambda parsed, data, *, where: None)
        with flipped(store, bits):
            missed = unnamed(store, bits)
        assert missed and {parse_name(name).kind for name in missed} == {kind}

    def test_of_the_readers(self, store, readers, whole, monkeypatch):
        monkeypatch.setattr(SealedFile, "_check_blocks", lambda self, view, index: None)
        name = next(name for name in readers if kind_of(name) == "features f32")
        at = bytes(store.get(name)).index(np.frombuffer(whole[name], np.float32)[3:].tobytes()[:64])
        with flipped(store, {name: 8 * at}):
            assert outcome(readers[name], whole[name]) == "wrong"

    def test_of_the_flips(self, store, readers, monkeypatch):
        monkeypatch.setitem(globals(), "flip", lambda store, name, bit: None)
        with pytest.raises(AssertionError, match="does not differ"), flipped(store, dict.fromkeys(readers, 0)):
            pass
