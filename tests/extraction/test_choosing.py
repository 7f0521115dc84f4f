"""The fastest executor that is right is taken, and known the next time; what is wrong is out, however fast."""

from __future__ import annotations

import json
import logging
import os
import stat
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hapistore.errors import UsageError
from hapistore.extraction import choose_executor
from hapistore.extraction.executors import ChildExecutor, EagerExecutor, choosing
from hapistore.extraction.executors.agreement import compare
from hapistore.extraction.executors.candidates import CANDIDATES, Candidate
from hapistore.extraction.executors.checking import CheckedExecutors
from hapistore.extraction.executors.choice_cache import ChoiceCache, KnownChoice
from hapistore.extraction.executors.exporting import save_exported
from hapistore.extraction.executors.machine import cores
from hapistore.extraction.executors.measuring import is_worth_preparing, measuring_batch

MANY = 1000  # enough to measure, too few for Inductor to pay


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache's folder, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/hapistore/executors"


@pytest.fixture(scope="module")
def sample(resnet, photographs):
    return np.stack([resnet.preprocess(path.read_bytes()) for path in photographs[:4]])


@pytest.fixture(autouse=True)
def two_ways(monkeypatch):
    """Eager PyTorch and OpenVINO only: making the others takes long, and what is chosen among is not the point."""
    monkeypatch.setattr(choosing, "CANDIDATES", tuple(c for c in CANDIDATES if c.name in ("torch", "openvino")))


def children_of_this_process() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def choose(prefix, sample, name="auto", **more):
    return choose_executor(prefix, name, sample=sample, device="cpu", **more)


class TestMeasuring:
    @pytest.mark.parametrize("precision", ["f32", "bf16"])
    def test_the_fastest_is_kept_and_known_the_next_time(self, cache, resnet, sample, precision):
        first = choose(resnet, sample, precision=precision, images=MANY)
        assert first.how == "measured" and first.executor.precision == precision
        made = first.executor
        label = f"{made.name} {made.variant}".strip()
        assert first.rates[label] > 0 and len(first.rates) >= 2
        assert (
            first.label.startswith(f"{made.name} {precision}")
            and f"{first.rates[label]:.0f} images/s" in first.describe()
        )
        (file,) = cache.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(cache.stat().st_mode) == 0o700

        written = file.read_bytes()
        second = choose(resnet, sample, precision=precision, images=1)
        assert (second.how, second.label) == ("cached", first.label)
        assert second.rates == {label: round(rate, 1) for label, rate in first.rates.items()}
        assert second.agreement == first.agreement
        assert "measured before" in second.describe()
        assert file.read_bytes() == written

    def test_other_weights_are_checked_and_not_measured(self, cache, resnet, make_resnet, sample):
        choose(resnet, sample, "openvino", images=MANY)
        other = choose(make_resnet(1), sample, "openvino", images=MANY)
        assert other.how == "cached" and other.agreement is not None
        assert len(list((cache.parent / "agreements").iterdir())) == 2

    def test_what_was_checked_is_not_checked_again(self, cache, resnet, sample, monkeypatch):
        first = choose(resnet, sample, images=20)
        monkeypatch.setattr(CheckedExecutors, "reference", lambda self: pytest.fail("it was compared again"))
        again = choose(resnet, sample, images=20)
        assert (again.how, again.label, again.agreement) == ("order", first.label, first.agreement)
        (file,) = (cache.parent / "agreements").iterdir()
        file.write_bytes(file.read_bytes().replace(b'"cosine": ', b'"sine": '))
        with pytest.raises(pytest.fail.Exception, match="compared again"):
            choose(resnet, sample, images=20)

    def test_a_damaged_file_is_written_anew(self, cache, resnet, sample):
        choose(resnet, sample, "openvino", images=MANY)
        (file,) = cache.iterdir()
        file.write_bytes(file.read_bytes()[:100])
        assert choose(resnet, sample, "openvino", images=MANY).how == "measured"
        assert choose(resnet, sample, "openvino", images=MANY).how == "cached"

    def test_without_a_cache_it_is_measured_every_time(self, cache, resnet, sample, caplog):
        cache.parent.parent.mkdir()
        cache.parent.write_text("a file where the folder should be")
        for _ in range(2):
            assert choose(resnet, sample, "openvino", images=MANY).how == "measured"
        assert "is not used as a cache" in caplog.text

    def test_a_folder_that_leads_elsewhere_is_not_used(self, cache, resnet, sample, tmp_path, caplog):
        cache.parent.mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir()
        cache.symlink_to(tmp_path / "elsewhere")
        assert choose(resnet, sample, "openvino", images=MANY).how == "measured"
        assert not list((tmp_path / "elsewhere").iterdir())
        assert "is not used as a cache" in caplog.text

    def test_in_children_each_is_measured_in_one(self, cache, resnet, sample):
        before = children_of_this_process()  # servers of other tests
        first = choose(resnet, sample, images=MANY, child=True)
        with closing(first.executor):
            assert isinstance(first.executor, ChildExecutor)
            assert first.how == "measured" and len(first.rates) >= 2
            assert compare(first.executor.run(sample), EagerExecutor(resnet).run(sample)).within("f32")
            assert children_of_this_process() - before == {first.executor.pid}
        with closing(choose(resnet, sample, images=MANY, child=True).executor) as again:
            assert (again.name, again.variant) == (first.executor.name, first.executor.variant)
            assert children_of_this_process() - before == {again.pid}

    def test_few_images_are_not_measured(self, cache, resnet, sample):
        choice = choose(resnet, sample, images=20)
        assert (choice.how, choice.rates) == ("order", {})
        assert choice.executor.name == "openvino"
        assert not list(cache.iterdir())


class TestCache:
    KNOWN = KnownChoice(
        label="openvino 1 stream",
        rates={"openvino 1 stream": 24.5, "torch": 3.0},
        passed_over={"onnx": "it is not installed"},
    )
    LABELS = ("openvino 1 stream", "torch")

    def test_what_was_saved_is_loaded(self, cache, resnet):
        ChoiceCache(resnet, "f32", self.LABELS).save(self.KNOWN)
        assert ChoiceCache(resnet, "f32", self.LABELS).load() == self.KNOWN
        (file,) = cache.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(cache.stat().st_mode) == 0o700

    def test_another_precision_network_or_set_of_candidates_is_another(self, cache, resnet, vit):
        ChoiceCache(resnet, "f32", self.LABELS).save(self.KNOWN)
        others = ((resnet, "bf16", self.LABELS), (vit, "f32", self.LABELS), (resnet, "f32", (*self.LABELS, "onnx")))
        for other in others:
            assert ChoiceCache(*other).load() is None

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data[: len(data) // 2],
            lambda data: b"",
            lambda data: b"\xff" + data,
            lambda data: b"[" * 60_000,
            lambda data: b"[]",
            lambda data: data + b" " * 70_000,
            lambda data: data.replace(b'"format": 2', b'"format": 3'),
            lambda data: data.replace(b'"precision": "f32"', b'"precision": "bf16"'),
            lambda data: data.replace(b'"choice": "openvino', b'"choice": "abacus'),
            lambda data: data.replace(b'"choice": "openvino 1 stream"', b'"choice": ["openvino"]'),
            lambda data: data.replace(b'"images_per_second": {', b'"images_per_second": {"x": "fast",'),
            lambda data: data.replace(b'"images_per_second": {', b'"images_per_second": 5, "y": {'),
        ],
    )
    def test_damage_is_told_and_nothing_is_known(self, cache, resnet, damage, caplog):
        ChoiceCache(resnet, "f32", self.LABELS).save(self.KNOWN)
        (file,) = cache.iterdir()
        whole = file.read_bytes()
        assert damage(whole) != whole
        file.write_bytes(damage(whole))
        with caplog.at_level(logging.WARNING):
            assert ChoiceCache(resnet, "f32", self.LABELS).load() is None
        assert str(file) in caplog.text and "is damaged" in caplog.text
        ChoiceCache(resnet, "f32", self.LABELS).save(self.KNOWN)
        assert file.read_bytes() == whole


class _Off(EagerExecutor):
    """Fast and wrong: every feature is off by a share of itself."""

    name = "off"
    by = 0.0

    def run(self, pixels):
        return super().run(pixels) * np.float32(1 + self.by)


def _broken(prefix, precision):
    raise RuntimeError("no such kernel\nand more")


def _candidate(name, make):
    return Candidate(
        name=name, precisions=("f32", "bf16"), prepare_s=0, missing=lambda: "", open=make, save=save_exported
    )


class TestChecking:
    @pytest.fixture
    def planted(self, monkeypatch):
        def plant(*planted):
            torch = next(c for c in CANDIDATES if c.name == "torch")
            monkeypatch.setattr(choosing, "CANDIDATES", (*planted, torch))

        return plant

    @pytest.mark.parametrize("images", [20, MANY])
    def test_what_is_wrong_or_broken_is_out(self, cache, resnet, sample, planted, images, caplog):
        wrong = _Off(resnet)
        wrong.by = 2e-4
        planted(_candidate("off", lambda prefix, precision: wrong), _candidate("broken", _broken))
        with caplog.at_level(logging.WARNING):
            choice = choose(resnet, sample, images=images)
        assert choice.executor.name == "torch"
        assert "2.0e-04 of the largest feature" in choice.passed_over["off"]
        assert choice.passed_over["broken"] == "it cannot run test/resnet18: no such kernel"
        assert "off is not used for test/resnet18" in caplog.text

    def test_within_the_tolerance_it_is_in(self, cache, resnet, sample, planted):
        near = _Off(resnet)
        near.by = 5e-5
        planted(_candidate("off", lambda prefix, precision: near))
        choice = choose(resnet, sample, images=20)
        assert choice.executor is near
        assert choice.agreement.of_largest == pytest.approx(5e-5, rel=0.1)

    def test_a_choice_that_is_wrong_for_other_weights_is_not_taken(self, cache, resnet, make_resnet, sample, planted):
        planted(_candidate("openvino", lambda prefix, precision: EagerExecutor(prefix)))
        choose(resnet, sample, images=MANY)
        (file,) = cache.iterdir()
        value = json.loads(file.read_bytes())
        value["value"]["choice"] = "openvino"
        file.write_text(json.dumps(value))

        def wrong(prefix, precision):
            executor = _Off(prefix)
            executor.by = 0.5
            return executor

        planted(_candidate("openvino", wrong))
        choice = choose(make_resnet(1), sample, images=MANY)
        assert (choice.how, choice.executor.name) == ("measured", "torch")

    def test_none_at_all_is_an_error(self, cache, resnet, sample, planted, monkeypatch):
        monkeypatch.setattr(choosing, "CANDIDATES", (_candidate("openvino", _broken), _candidate("openvino", _broken)))
        with pytest.raises(
            UsageError, match="no executor can give test/resnet18 in bf16.*no such kernel.*--precision f32"
        ):
            choose(resnet, sample, precision="bf16", images=20)


class TestAsking:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"name": "abacus"}, "'abacus' is none of auto, torch, inductor, onnx, openvino"),
            ({"precision": "f16"}, "'f16' is none of f32, bf16"),
        ],
    )
    def test_what_there_is_not(self, cache, resnet, sample, options, message):
        with pytest.raises(UsageError, match=message):
            choose(resnet, sample, **options)

    def test_a_cpu_executor_on_a_gpu(self, cache, resnet, sample):
        with pytest.raises(UsageError, match="openvino runs on CPUs only, not on cuda:0"):
            choose_executor(resnet, "openvino", sample=sample, device="cuda:0")

    def test_onnx_has_no_bf16(self, cache, resnet, sample, monkeypatch):
        monkeypatch.setattr(choosing, "CANDIDATES", CANDIDATES)
        with pytest.raises(UsageError, match="onnx cannot be used here: it has no bf16"):
            choose(resnet, sample, "onnx", precision="bf16")

    def test_no_compiler_no_inductor(self, cache, resnet, sample, monkeypatch):
        monkeypatch.setattr(choosing, "CANDIDATES", CANDIDATES)
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(
            UsageError, match="inductor cannot be used here: there is no C.. compiler .no-such-compiler"
        ):
            choose(resnet, sample, "inductor")

    @pytest.mark.parametrize("precision", ["f32", "bf16"])
    def test_torch_alone(self, cache, resnet, sample, precision):
        choice = choose(resnet, sample, "torch", precision=precision, images=MANY)
        assert (choice.how, choice.label, choice.rates) == ("only", f"torch {precision}", {})
        assert (choice.agreement is None) is (precision == "f32")


class TestDeciding:
    def test_the_first_is_always_worth_it(self):
        assert is_worth_preparing(1000, spent_s=1000, images=1, best_rate=0)

    @pytest.mark.parametrize(
        ("prepare_s", "spent_s", "images", "best_rate", "worth"),
        [
            (6, 1, 1000, 24, True),  # 42 s to win
            (6, 1, 200, 120, False),  # made, it would have nothing left to do
            (6, 5, 1000, 24, False),  # beyond the budget
            (45, 10, 100_000, 24, True),  # over an hour: a fiftieth of it is 83 s
            (45, 10, 100_000, 280, False),  # six minutes
        ],
    )
    def test_preparing(self, prepare_s, spent_s, images, best_rate, worth):
        assert is_worth_preparing(prepare_s, spent_s=spent_s, images=images, best_rate=best_rate) is worth

    @pytest.mark.parametrize(("rate", "count"), [(1, 4), (20, 10), (1000, 16)])
    def test_measured_batches(self, rate, count):
        sample = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
        found = measuring_batch(sample, rate)
        assert found.shape == (count, 8, 8, 3) and found.dtype == np.uint8
        for number, image in enumerate(found):
            assert np.array_equal(image, sample[number % 3])

    def test_cores_are_those_that_may_be_used(self):
        assert cores() == len(os.sched_getaffinity(0))
