"""Which executor runs a prefix: the fastest of those that are right."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import torch

from hapistore_format.recipe import PRECISIONS

from ...errors import UsageError
from ...models import AnyPrefix, OnnxPrefix, Prefix
from .. import memory
from .candidates import BY_LABEL, CANDIDATES, EXECUTORS, Candidate
from .checking import CheckedExecutors
from .child import ChildExecutor
from .choice import ExecutorChoice
from .choice_cache import ChoiceCache, KnownChoice
from .machine import cores
from .measuring import Tournament, measuring_batch
from .protocol import Executor

# Fewer are extracted in about the time that measuring takes.
FEW_IMAGES = 200
_SHARE_OF_FREE = 0.8  # what a program of somebody else's may take where nobody gave a budget
_log = logging.getLogger(__name__)


def open_executor(
    prefix: AnyPrefix,
    name: str = "auto",
    *,
    sample: np.ndarray,
    device: str | None = None,
    precision: str = "f32",
    images: int = 0,
) -> Executor:
    """Make an executor for a prefix: ``choose_executor`` without the reasons."""
    return choose_executor(prefix, name, sample=sample, device=device, precision=precision, images=images).executor


def choose_executor(
    prefix: AnyPrefix,
    name: str = "auto",
    *,
    sample: np.ndarray,
    device: str | None = None,
    precision: str = "f32",
    images: int = 0,
    child: bool = False,
    memory_bytes: int | None = None,
) -> ExecutorChoice:
    """Make the fastest executor whose features agree with eager float32 within the precision.

    On a GPU that is PyTorch. On a CPU the candidates are measured for some seconds, and what was found is kept in
    the user's cache; for fewer than 200 images the first in a fixed order is taken that is right, unless a
    measurement is known. What is passed over is logged. A prefix that came as an ONNX program has no eager twin to
    agree with: ONNX Runtime runs it, in float32, in a child always.

    Args:
        name: ``auto``, or the one to take (of several variants, the fastest).
        sample: uint8 [n, height, width, 3], a few real images to compare and measure on.
        device: a torch device; default ``cuda`` where there is one, else ``cpu``.
        images: how many there are to extract; 0 where nobody knows.
        child: run it in a process of its own, and so each that is measured; it may occupy about ``memory_bytes``.

    Raises:
        UsageError: there is no such executor or precision here, or its features are not within the precision.
    """
    if name not in EXECUTORS:
        raise UsageError(f"executor {name!r} is none of {', '.join(EXECUTORS)}")
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    if isinstance(prefix, OnnxPrefix):
        return _only_onnx(prefix, name, device, precision, memory_bytes)
    if name in ("auto", "torch"):
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    elif device not in (None, "cpu"):
        raise UsageError(f"executor {name} runs on CPUs only, not on {device}; leave out one of the two")
    executors = CheckedExecutors(prefix, precision, sample, device or "cpu", child=child, memory_bytes=memory_bytes)
    with closing(_Choosing(prefix, precision, executors)) as choosing:
        if device not in (None, "cpu"):
            return choosing.only_eager()
        candidates = choosing.usable([c for c in CANDIDATES if name in ("auto", c.name)])
        if not candidates:
            raise UsageError(f"executor {name} cannot be used here: {'; '.join(set(choosing.passed_over.values()))}")
        if [c.name for c in candidates] == ["torch"]:
            return choosing.only_eager()
        cache = ChoiceCache(prefix, precision, [c.label for c in candidates])
        choice = choosing.known(candidates, cache) or (
            choosing.first(candidates) if images < FEW_IMAGES else choosing.measured(candidates, cache, images)
        )
    _log.info("executor %s: %s", choice.how, choice.describe())
    return choice


def _only_onnx(
    prefix: OnnxPrefix, name: str, device: str | None, precision: str, memory_bytes: int | None
) -> ExecutorChoice:
    if name not in ("auto", "onnx") or precision != "f32" or device not in (None, "cpu"):
        raise UsageError(
            f"{prefix.architecture} is an ONNX program, which runs on a CPU, by executor onnx, in f32; "
            f"asked for was {name} {precision}{f' on {device}' if device else ''}"
        )
    room = memory_bytes or memory.resident_bytes() + int(_SHARE_OF_FREE * memory.free_bytes())
    return ExecutorChoice(executor=ChildExecutor(prefix, "onnx", memory_bytes=room), how="only")


class _Choosing:
    """One choice.

    Attributes:
        passed_over: why candidates are out, by label.
    """

    def __init__(self, prefix: Prefix, precision: str, executors: CheckedExecutors) -> None:
        self._prefix, self._precision, self._executors = prefix, precision, executors
        self._chosen_executor: Executor | None = None
        self.passed_over: dict[str, str] = {}

    def close(self) -> None:
        """Give back what was not chosen."""
        self._executors.close(but=self._chosen_executor)

    def usable(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that can be here; of the others the reason is kept."""
        there = []
        for candidate in candidates:
            reason = candidate.missing()
            if self._precision not in candidate.precisions:
                reason = f"it has no {self._precision}"
            if reason:
                self.passed_over[candidate.label] = reason
            elif cores() >= candidate.least_cores:
                there.append(candidate)
        return there

    def only_eager(self) -> ExecutorChoice:
        """PyTorch on the device, checked where it is not the reference itself."""
        torch_candidate = BY_LABEL["torch"]
        executor = self._executors.open(torch_candidate)
        if isinstance(executor, str):
            raise self._none_agrees(f"torch: {executor}")
        return self._chosen(torch_candidate, executor, "only", {})

    def known(self, candidates: Sequence[Candidate], cache: ChoiceCache) -> ExecutorChoice | None:
        """What an earlier extraction measured."""
        found = cache.load()
        if found is None:
            return None
        candidate = next(c for c in candidates if c.label == found.label)
        executor = self._executors.open(candidate)
        if isinstance(executor, str):
            return None
        return self._chosen(candidate, executor, "cached", found.rates, found.passed_over)

    def first(self, candidates: Sequence[Candidate]) -> ExecutorChoice:
        """The first in order that is right."""
        for candidate in candidates:
            executor = self._executors.open(candidate)
            if not isinstance(executor, str):
                return self._chosen(candidate, executor, "order", {})
            self.passed_over[candidate.label] = executor
        raise self._none_agrees(self._reasons())

    def measured(self, candidates: Sequence[Candidate], cache: ChoiceCache, images: int) -> ExecutorChoice:
        """The fastest, kept in the cache."""
        self._executors.reference()
        started = time.perf_counter()
        self._executors.eager.run(self._executors.sample)
        eager_rate = len(self._executors.sample) / (time.perf_counter() - started)
        tournament = Tournament(measuring_batch(self._executors.sample, eager_rate), images, self._executors.open)
        # PyTorch first: it takes nothing to make, and shows what the others may cost.
        tournament.run(sorted(candidates, key=lambda c: c.name != "torch"))
        self.passed_over.update(tournament.passed_over)
        if tournament.champion is None:
            raise self._none_agrees(self._reasons())
        candidate, executor = tournament.champion
        cache.save(KnownChoice(label=candidate.label, rates=tournament.rates, passed_over=dict(self.passed_over)))
        return self._chosen(candidate, executor, "measured", tournament.rates)

    def _chosen(
        self,
        candidate: Candidate,
        executor: Executor,
        how: str,
        rates: dict[str, float],
        passed_over: dict[str, str] | None = None,
    ) -> ExecutorChoice:
        self._chosen_executor = executor
        return ExecutorChoice(
            executor=executor,
            how=how,
            rates=rates,
            agreement=self._executors.agreements.get(candidate.label),
            passed_over={**(passed_over or {}), **self.passed_over},
        )

    def _reasons(self) -> str:
        return "; ".join(f"{label}: {reason}" for label, reason in self.passed_over.items())

    def _none_agrees(self, reasons: str) -> UsageError:
        other = "; try --precision f32" if self._precision != "f32" else ""
        return UsageError(f"no executor can give {self._prefix.architecture} in {self._precision}: {reasons}{other}")
