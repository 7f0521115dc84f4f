"""How a worker works."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ...errors import UsageError
from .turns import AT_ONCE


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        memory_bytes: what it and its executors may occupy together; default 80 % of what is free.
        decode_threads: how many images are decoded at once.
        forward_passes: how many run at once.
        aim: ``knee`` or ``memory``, as in `plan_batches`.
        keep_reports: False: a job is forgotten once it has ended and ``on_progress`` was told, for workers that live
            long; its name is free again.
        isolate: whether an error that nobody foresaw fails its job alone, with a traceback in the log; else it ends
            the worker, so that a fault of ours is seen.
    """

    memory_bytes: int | None = None
    decode_threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    forward_passes: int = AT_ONCE
    aim: str = "knee"
    keep_reports: bool = True
    isolate: bool = False

    def __post_init__(self) -> None:
        if self.decode_threads < 1 or self.forward_passes < 1:
            raise UsageError("the numbers of decoding threads and of forward passes are at least 1")
