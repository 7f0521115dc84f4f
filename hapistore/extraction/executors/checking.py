"""Executors that agree with eager float32 on real images, or why there is none."""

from __future__ import annotations

import logging
from functools import cached_property

import numpy as np

from ...errors import ExecutorFailed, OutOfMemory
from ...models import Prefix
from .agreement import Agreement, compare
from .candidates import BY_LABEL, Candidate
from .check_cache import CheckCache
from .child import ChildExecutor
from .eager import EagerExecutor
from .protocol import Executor

_log = logging.getLogger(__name__)


class CheckedExecutors:
    """Makes candidates of one prefix and checks them; the reference runs when it is first asked for.

    Args:
        sample: uint8 [n, height, width, 3], real images to compare on.
        child: make each, the reference too, in a process of its own, which may occupy about ``memory_bytes``.

    Attributes:
        sample: without images that the reference fails at, once it ran.
        agreements: what was found, by label.
    """

    def __init__(
        self, prefix: Prefix, precision: str, sample: np.ndarray, device: str, *, child: bool, memory_bytes: int | None
    ) -> None:
        self._prefix, self._precision, self._device = prefix, precision, device
        self._child, self._memory_bytes = child, memory_bytes
        self._expected: np.ndarray | None = None
        self.sample = sample
        self.agreements: dict[str, Agreement] = {}

    def open(self, candidate: Candidate) -> Executor | str:
        """An executor that agrees with the reference, or why there is none; one that did here before is not compared
        again."""
        executor: Executor | None = None
        # Export, conversion and compilation fail in as many ways as there are networks; any means "not this one".
        try:
            executor = self._make(candidate)
            if executor is self.__dict__.get("eager"):  # the reference itself
                return self.eager
            agreement = self._known.get(candidate.label) or self._compared(executor)
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
        self.agreements[candidate.label] = agreement
        if candidate.label not in self._known:
            self._cache.save(candidate.label, agreement)
        return executor

    @cached_property
    def _cache(self) -> CheckCache:
        return CheckCache(self._prefix, self._precision)

    @cached_property
    def _known(self) -> dict[str, Agreement]:
        return self._cache.load()

    @cached_property
    def eager(self) -> Executor:
        """What defines features. In a child as well: an image of the sample may be one that a network crashes at."""
        return self._make_in(BY_LABEL["torch"], "f32")

    def reference(self) -> np.ndarray:
        """Its features of the sample, which images that it fails at are taken from."""
        if self._expected is None:
            self.sample, self._expected = _run_each(self.eager, self.sample)
        return self._expected

    def close(self, *, but: Executor | None) -> None:
        """Give back the reference, if it was not chosen."""
        if "eager" in self.__dict__ and self.eager is not but:
            self.eager.close()

    def _compared(self, executor: Executor) -> Agreement:
        expected = self.reference()  # first: it may take images from the sample
        return compare(executor.run(self.sample), expected)

    def _make(self, candidate: Candidate) -> Executor:
        if candidate.name == "torch" and self._precision == "f32":
            return self.eager
        return self._make_in(candidate, self._precision)

    def _make_in(self, candidate: Candidate, precision: str) -> Executor:
        if self._child:
            return ChildExecutor(
                self._prefix, candidate.label, precision, device=self._device, memory_bytes=self._memory_bytes
            )
        if candidate.name == "torch":
            return EagerExecutor(self._prefix, self._device, precision)
        return candidate.open(self._prefix, precision)


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
