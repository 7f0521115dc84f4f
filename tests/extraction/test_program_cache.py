"""A network is converted once on a machine, whatever process asks; damage and other code are noticed."""

from __future__ import annotations

import logging
import os
import stat
import time

import numpy as np
import pytest
from torch import nn

from hapistore.extraction.executors import OpenVINOExecutor, exporting, openvino_model, program_cache
from hapistore.extraction.executors.identity import identity_of
from hapistore.extraction.executors.program_cache import ProgramCache
from hapistore.models import Prefix


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache's folder, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/hapistore/programs"


@pytest.fixture
def forgotten():
    """What another process would not know."""

    def forget() -> None:
        openvino_model._converted.clear()
        exporting._programs.clear()

    forget()
    return forget


@pytest.fixture
def pixels(resnet):
    return np.random.default_rng(0).integers(0, 256, (2, *resnet.pixel_shape), dtype=np.uint8)


def write(folder) -> None:
    (folder / "prefix.xml").write_bytes(b"program")
    (folder / "prefix.bin").write_bytes(b"weights")


def test_the_next_process_neither_exports_nor_converts(cache, forgotten, resnet, pixels, monkeypatch):
    first = OpenVINOExecutor(resnet).run(pixels)
    (folder,) = cache.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["about.json", "prefix.bin", "prefix.xml"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    forgotten()
    monkeypatch.setattr(openvino_model, "_convert", lambda *_: pytest.fail("it was converted again"))
    np.testing.assert_array_equal(OpenVINOExecutor(resnet).run(pixels), first)


@pytest.mark.parametrize("name", ["about.json", "prefix.bin", "prefix.xml"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"[" * 100_000, lambda data: None])
def test_damage_is_told_and_the_program_is_made_again(cache, resnet, name, damage, caplog):
    ProgramCache(resnet, "test").save(write)
    (folder,) = cache.iterdir()
    damaged = damage((folder / name).read_bytes())
    if damaged is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert ProgramCache(resnet, "test").load() is None
    assert f"{folder} is damaged" in caplog.text
    assert not list(cache.iterdir())
    ProgramCache(resnet, "test").save(write)
    assert ProgramCache(resnet, "test").load() == (b"program", b"weights")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("No space left")], ids=["system", "openvino"]
)
def test_one_that_fails_to_write_leaves_nothing(cache, resnet, error, caplog):
    def full(folder) -> None:
        write(folder)
        raise error

    with caplog.at_level(logging.WARNING):
        ProgramCache(resnet, "test").save(full)
    assert "No space left" in caplog.text
    assert not list(cache.iterdir())


def test_a_cache_that_may_only_be_read_is_read(cache, resnet, monkeypatch):
    ProgramCache(resnet, "test").save(write)

    def refused(*_, **__):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refused)
    assert ProgramCache(resnet, "test").load() == (b"program", b"weights")
    (folder,) = cache.iterdir()
    (folder / "prefix.bin").write_bytes(b"damaged")
    monkeypatch.setattr(type(folder), "rename", refused)
    assert ProgramCache(resnet, "test").load() is None  # and the extraction goes on


def test_who_comes_second_leaves_what_is_there(cache, resnet):
    slow, fast = ProgramCache(resnet, "test"), ProgramCache(resnet, "test")

    def meanwhile(folder) -> None:
        write(folder)
        fast.save(write)

    slow.save(meanwhile)
    assert len(list(cache.iterdir())) == 1
    assert slow.load() == (b"program", b"weights")


def test_the_least_recently_used_give_way_and_what_was_abandoned(cache, resnet, monkeypatch):
    caches = [ProgramCache(resnet, f"converter {number}") for number in range(4)]
    for number, one in enumerate(caches[:3]):
        one.save(write)
        os.utime(one.folder, (number, number))
    caches[0].load()  # the last now
    sizes = [sum(path.stat().st_size for path in one.folder.iterdir()) for one in caches[:3]]
    monkeypatch.setattr(program_cache, "_MOST_BYTES", sum(sizes))
    for name, age_s in (("killed", 2 * 3600), ("at work", 10)):
        (cache / f".{name}").mkdir()
        os.utime(cache / f".{name}", (time.time() - age_s,) * 2)
    caches[3].save(write)
    assert [one.load() is not None for one in caches] == [True, False, True, True]
    assert sorted(path.name for path in cache.iterdir() if path.name.startswith(".")) == [".at work"]


class _Network(nn.Module):
    """Something whose structure shows in how it is printed."""

    def __init__(self, stride: int, gain: float = 1.0) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(stride)
        self.gain = nn.Parameter(nn.init.constant_(nn.Linear(1, 1).weight.detach(), gain))

    def forward(self, images):
        return (self.pool(images) * self.gain).mean(dim=(2, 3))


def test_other_weights_and_other_code_are_another_network(resnet, tmp_path):
    def prefix(**more) -> Prefix:
        about = {"architecture": "net", "cut": "pool", "weights_name": "none", "preprocess": resnet.preprocess}
        return Prefix(**about, network=_Network(**more))

    found = [identity_of(prefix(stride=2)), identity_of(prefix(stride=2)), identity_of(prefix(stride=4))]
    found.append(identity_of(prefix(stride=2, gain=2.0)))
    assert found[0] == found[1]
    assert [found[0]["weights"] == one["weights"] for one in found] == [True, True, True, False]
    assert [found[0]["code"] == one["code"] for one in found] == [True, True, False, True]
