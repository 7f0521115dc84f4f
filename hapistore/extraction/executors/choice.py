"""An executor that was chosen, and why: for people, for ``--json``, and for the provenance of feature shards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .agreement import Agreement
from .protocol import Executor


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
