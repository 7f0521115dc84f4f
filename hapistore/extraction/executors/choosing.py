"""Which executor runs a prefix: the fastest of those that are right."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from hapistore_format.recipe import PRECISIONS

from ...errors import ExecutorFailed, OutOfMemory, UsageError
from ...models import Prefix
from .agreement import Agreement, compare
from .candidates import BY_LABEL, CANDIDATES, EXECUTORS, Candidate, cores
from .child import ChildExecutor
from .choice_cache import ChoiceCache, KnownChoice, weights_digest
from .eager import EagerExecutor
from .measuring import Tournament, measuring_batch
from .protocol import Executor

# Fewer are extracted in about the time that measuring takes.
FEW_IMAGES = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExecutorChoice:
    """An executor, and why it is this one.

    Attributes:
        how: ``measured``, ``cached`` (measured by an earlier extraction), ``order`` (the first in the documented
            order that is right; nothing was measured), ``only`` (there was no choice).
        rates: images per second by candidate, where measured.
        agreement: with eager float32 on real images; None for eager float32 itself.
        passed_over: why candidates were not run.
    """

    executor: Executor
    how: str
    rates: dict[str, float] = field(default_factory=dict)
    agreement: Agreement | None = None
    passed_over: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``openvino bf16, 2 streams``."""
        made = self.executor
        return f"{made.name} {made.precision}{', ' if made.variant else ''}{made.variant}"

    def describe(self) -> str:
        """For people, in a line: ``openvino bf16, 2 streams (283 images/s; torch 24)``."""
        own = f"{self.executor.name} {self.executor.variant}".strip()
        rates = dict(sorted(self.rates.items(), key=lambda item: -item[1]))
        found = [f"{rates.pop(own):.0f} images/s"] if own in rates else []
        found += [", ".join(f"{label} {rate:.0f}" for label, rate in rates.items())] if rates else []
        if self.how == "cached":
            found.append("measured before")
        return f"{self.label} ({'; '.join(found)})" if found else self.label

    @property
    def provenance(self) -> dict[str, Any]:
        """For feature shards: what computed them, and what choosing it found."""
        made = self.executor
        checked = {"agreement": vars(self.agreement)} if self.agreement else {}
        rates = {label: round(rate, 1) for label, rate in self.rates.items()}
        return {
            "executor": made.name,
            "device": made.device,
            **({"variant": made.variant} if made.variant else {}),
            "chosen": {"how": self.how, **checked, **({"images_per_second": rates} if rates else {})},
        }

    def to_json(self) -> dict[str, Any]:
        """The same for ``--json``, what was passed over besides."""
        return {**self.provenance, "precision": self.executor.precision, "passed_over": self.passed_over}


def open_executor(
    prefix: Prefix,
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
    prefix: Prefix,
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
    measurement is known. What is passed over is logged.

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
    if name in ("auto", "torch"):
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    elif device not in (None, "cpu"):
        raise UsageError(f"executor {name} runs on CPUs only, not on {device}; leave out one of the two")
    choosing = _Choosing(prefix, precision, sample, device or "cpu")
    if child:
        choosing.in_children(memory_bytes)
    if device not in (None, "cpu"):
        with closing(choosing):
            return choosing.only_eager()
    candidates = choosing.usable([c for c in CANDIDATES if name in ("auto", c.name)])
    if not candidates:
        raise UsageError(f"executor {name} cannot be used here: {'; '.join(set(choosing.passed_over.values()))}")
    if [c.name for c in candidates] == ["torch"]:
        with closing(choosing):
            return choosing.only_eager()
    cache = ChoiceCache(prefix, precision, [c.label for c in candidates])
    with closing(choosing):
        choice = choosing.known(candidates, cache) or (
            choosing.first(candidates) if images < FEW_IMAGES else choosing.measured(candidates, cache, images)
        )
    _log.info("executor %s: %s", choice.how, choice.describe())
    return choice


class _Choosing:
    """One choice: candidates are made and checked, the reference runs when it is first asked for.

    Attributes:
        passed_over: why candidates are out, by label.
    """

    def __init__(self, prefix: Prefix, precision: str, sample: np.ndarray, device: str) -> None:
        self._prefix, self._precision, self._sample = prefix, precision, sample
        self._expected: np.ndarray | None = None
        self._device = device
        self._chosen_executor: Executor | None = None
        self._child = False
        self._memory_bytes: int | None = None
        self._agreements: dict[str, Agreement] = {}
        self.passed_over: dict[str, str] = {}

    def in_children(self, memory_bytes: int | None) -> None:
        """Make each candidate in a process of its own."""
        self._child, self._memory_bytes = True, memory_bytes

    def close(self) -> None:
        """Give back the reference, if it was not chosen."""
        if "_eager" in self.__dict__ and self._eager is not self._chosen_executor:
            self._eager.close()

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
        executor = self._open(torch_candidate)
        if isinstance(executor, str):
            raise self._none_agrees(f"torch: {executor}")
        return self._chosen(torch_candidate, executor, "only", {})

    def known(self, candidates: Sequence[Candidate], cache: ChoiceCache) -> ExecutorChoice | None:
        """What an earlier extraction measured, checked anew unless it was for these weights."""
        found = cache.load()
        if found is None:
            return None
        candidate = next(c for c in candidates if c.label == found.label)
        weights = weights_digest(self._prefix)
        checked = found.checks.get(weights)
        executor = self._open(candidate, checked)
        if isinstance(executor, str):
            return None
        if checked is None and candidate.label in self._agreements:
            cache.save(replace(found, checks={**found.checks, weights: self._agreements[candidate.label]}))
        return self._chosen(candidate, executor, "cached", found.rates, checked, found.passed_over)

    def first(self, candidates: Sequence[Candidate]) -> ExecutorChoice:
        """The first in order that is right."""
        for candidate in candidates:
            executor = self._open(candidate)
            if not isinstance(executor, str):
                return self._chosen(candidate, executor, "order", {})
            self.passed_over[candidate.label] = executor
        raise self._none_agrees(self._reasons())

    def measured(self, candidates: Sequence[Candidate], cache: ChoiceCache, images: int) -> ExecutorChoice:
        """The fastest, kept in the cache."""
        self._reference()
        started = time.perf_counter()
        self._eager.run(self._sample)
        eager_rate = len(self._sample) / (time.perf_counter() - started)
        tournament = Tournament(measuring_batch(self._sample, eager_rate), images, self._open)
        # PyTorch first: it takes nothing to make, and shows what the others may cost.
        tournament.run(sorted(candidates, key=lambda c: c.name != "torch"))
        self.passed_over.update(tournament.passed_over)
        if tournament.champion is None:
            raise self._none_agrees(self._reasons())
        candidate, executor = tournament.champion
        agreement = self._agreements.get(candidate.label)
        checks = {weights_digest(self._prefix): agreement} if agreement else {}
        cache.save(
            KnownChoice(
                label=candidate.label, rates=tournament.rates, passed_over=dict(self.passed_over), checks=checks
            )
        )
        return self._chosen(candidate, executor, "measured", tournament.rates)

    def _chosen(
        self,
        candidate: Candidate,
        executor: Executor,
        how: str,
        rates: dict[str, float],
        checked: Agreement | None = None,
        passed_over: dict[str, str] | None = None,
    ) -> ExecutorChoice:
        self._chosen_executor = executor
        return ExecutorChoice(
            executor=executor,
            how=how,
            rates=rates,
            agreement=checked or self._agreements.get(candidate.label),
            passed_over={**(passed_over or {}), **self.passed_over},
        )

    def _open(self, candidate: Candidate, checked: Agreement | None = None) -> Executor | str:
        """An executor that agrees with the reference, or why there is none.

        Args:
            checked: what comparing it with these weights found before.
        """
        executor: Executor | None = None
        # Export, conversion and compilation fail in as many ways as there are networks; any means "not this one".
        try:
            executor = self._make(candidate)
            if executor is self.__dict__.get("_eager"):  # the reference itself
                return self._eager
            agreement = checked or self._compared(executor)
        except Exception as error:
            if executor:
                executor.close()
            lines = str(error).strip().splitlines()
            reason = f"it cannot run {self._prefix.architecture}: {lines[0] if lines else repr(error)}"
            _log.info("%s is not used: %s", candidate.label, error)
            return reason
        if not agreement.within(self._precision):
            executor.close()
            _log.warning("%s is not used for %s: it is %s", candidate.label, self._prefix.architecture, agreement)
            return f"it is {agreement}"
        self._agreements[candidate.label] = agreement
        return executor

    def _compared(self, executor: Executor) -> Agreement:
        expected = self._reference()  # first: it may take images from the sample
        return compare(executor.run(self._sample), expected)

    def _make(self, candidate: Candidate) -> Executor:
        if candidate.name == "torch" and self._precision == "f32":
            return self._eager
        return self._make_in(candidate, self._precision)

    def _make_in(self, candidate: Candidate, precision: str) -> Executor:
        if self._child:
            return ChildExecutor(
                self._prefix, candidate.label, precision, device=self._device, memory_bytes=self._memory_bytes
            )
        if candidate.name == "torch":
            return EagerExecutor(self._prefix, self._device, precision)
        return candidate.open(self._prefix, precision)

    @cached_property
    def _eager(self) -> Executor:
        """What defines features. In a child as well: an image of the sample may be one that a network crashes at."""
        return self._make_in(BY_LABEL["torch"], "f32")

    def _reference(self) -> np.ndarray:
        """Its features of the sample, which images that it fails at are taken from."""
        if self._expected is None:
            self._sample, self._expected = _run_each(self._eager, self._sample)
        return self._expected

    def _reasons(self) -> str:
        return "; ".join(f"{label}: {reason}" for label, reason in self.passed_over.items())

    def _none_agrees(self, reasons: str) -> UsageError:
        other = "; try --precision f32" if self._precision != "f32" else ""
        return UsageError(f"no executor can give {self._prefix.architecture} in {self._precision}: {reasons}{other}")


def _run_each(executor: Executor, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images that pass, and their features; one by one where they do not pass together.

    Raises:
        OutOfMemory, ExecutorFailed: none passes.
    """
    try:
        return pixels, executor.run(pixels)
    except (OutOfMemory, ExecutorFailed) as error:
        if len(pixels) == 1:
            raise
        _log.info("%d images fail together, and are tried one by one: %s", len(pixels), error)
    passed: list[tuple[np.ndarray, np.ndarray]] = []
    for number in range(len(pixels)):
        last = number == len(pixels) - 1
        try:
            passed.append((pixels[number : number + 1], executor.run(pixels[number : number + 1])))
        except (OutOfMemory, ExecutorFailed) as error:
            if last and not passed:
                raise
            _log.info("image %d of the sample is left out: %s", number, error)
    images, features = zip(*passed, strict=True)
    return np.concatenate(images), np.concatenate(features)
