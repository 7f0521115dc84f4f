"""The fuzzer's corpus without the fuzzer: every input again, through the target that its first byte picks."""

from __future__ import annotations

from collections import Counter

import pytest


def inputs(fuzzing) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(fuzzing.corpus.iterdir())}


def target_of(fuzzing, data: bytes) -> str:
    return list(fuzzing.targets.TARGETS)[data[0] % len(fuzzing.targets.TARGETS)]


def test_every_input_is_read_or_refused(fuzzing):
    outcomes = {name: (target_of(fuzzing, data), fuzzing.targets.run(data)) for name, data in inputs(fuzzing).items()}
    read = Counter(target for target, code in outcomes.values() if code is None)
    refused = Counter(target for target, code in outcomes.values() if code is not None)
    assert set(read) == set(fuzzing.targets.TARGETS), "a target is never read to its end"
    assert set(refused) == set(fuzzing.targets.TARGETS), "a target never refuses anything"
    codes = {code for _, code in outcomes.values()}
    assert codes >= {
        "bad-annotations", "bad-block", "bad-digest", "bad-features", "bad-field", "bad-images", "bad-index",
        "bad-json", "bad-params", "bad-weights", "no-seal", "not-arrow", "not-lmdb", "too-large", "unknown-codec",
        "unsupported-feature", "unsupported-version",
    }  # fmt: skip


def test_the_corpus_is_small(fuzzing):
    sizes = [len(data) for data in inputs(fuzzing).values()]
    assert len(sizes) > 100 and max(sizes) <= 4096 and sum(sizes) < 300_000


class TestItWouldBeSeen:
    """A fault of a reader passes through ``run`` whatever it is."""

    def first(self, fuzzing, target: str) -> bytes:
        return next(
            d for d in inputs(fuzzing).values() if target_of(fuzzing, d) == target and not fuzzing.targets.run(d)
        )

    def test_another_exception(self, fuzzing, monkeypatch):
        data = self.first(fuzzing, "marker")
        monkeypatch.setattr(fuzzing.targets, "check_format", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fuzzing.targets.run(data)

    def test_memory_that_is_taken(self, fuzzing, monkeypatch):
        data = self.first(fuzzing, "marker")
        monkeypatch.setattr(fuzzing.targets, "check_format", lambda *a, **k: bytearray(65 << 20))
        with pytest.raises(AssertionError, match="bytes were allocated"):
            fuzzing.targets.run(data)

    def test_wrong_values(self, fuzzing, monkeypatch):
        targets = fuzzing.targets.feature_targets
        data = next(
            d for d in inputs(fuzzing).values() if target_of(fuzzing, d) == "block" and not fuzzing.targets.run(d)
        )
        right = targets.read_block_slowly
        monkeypatch.setattr(targets, "read_block_slowly", lambda *a: right(*a) ^ 1)
        with pytest.raises(AssertionError):
            fuzzing.targets.run(data)

    def test_writes_beside_the_rows(self, fuzzing, monkeypatch):
        targets = fuzzing.targets.feature_targets
        data = self.first(fuzzing, "block")

        def write_beside(raw, shape, out, *, where):
            out.base[63] = 0

        monkeypatch.setattr(targets, "read_block", write_beside)
        with pytest.raises(AssertionError):
            fuzzing.targets.run(data)
