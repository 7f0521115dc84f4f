"""What may be said of an extraction, and what it did."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from hapistore_format import DatasetVersion, Recipe

from ..catalog.codec_choice import CodecChoice
from ..catalog.missing import LeftOut
from ..errors import UsageError
from .augmenting import AugmentOptions
from .executors import ExecutorChoice
from .shares import Share


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """How to extract. Precision and augmentation decide what features are; the rest, how they are made.

    Attributes:
        memory_bytes: what the process, its child included (on a GPU: the device), may occupy at its peak; default 80 %
            of what is free.
        max_batch: largest extraction batch.
        precision: ``f32`` or ``bf16``, part of the recipe.
        augment: variants of each image, stored besides the images as they are; None: none.
        executor: ``auto``, ``torch``, ``inductor``, ``onnx`` or ``openvino``; device: a torch device.
        decode_threads: how many images are decoded at once.
        child: run the executor in a process of its own, whose end costs a batch and not the job.
        retry_bad: try images again that earlier runs had to leave out; of several machines, each those of its share.
        share: which of several machines this is that extract the same at once; None: the only one.
        trace: a file for a trace viewer, to be written at the end: what every thread did when.
    """

    memory_bytes: int | None = None
    max_batch: int = 256
    precision: str = "f32"
    augment: AugmentOptions | None = None
    executor: str = "auto"
    device: str | None = None
    decode_threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    child: bool = False
    retry_bad: bool = False
    share: Share | None = None
    trace: Path | None = None

    def __post_init__(self) -> None:
        if self.max_batch < 1 or self.decode_threads < 1:
            raise UsageError("the extraction batch and the number of decoding threads are at least 1")


@dataclass(frozen=True, kw_only=True)
class ExtractResult:
    """What an extraction did.

    Attributes:
        recipe: of the images as they are; variants: those of the variants, where there are any.
        extracted, transcoded, present: image shards run through the network, made from another codec, or done before,
            once for each variant.
        images: rows run through the network, once for each variant.
        batch: largest extraction batch that ran; peak_bytes: highest memory use.
        stage_seconds: what each stage took, all threads together.
        executor_choice: what ran the network, and why; None where nothing had to run. executor: its name for people.
        restarts: how often the executor's process was started again.
        choice: how the codec ``auto`` chose; None where it was not asked for.
        left_out: images of the version that have no features, found now or by an earlier run.
    """

    version: DatasetVersion
    recipe: Recipe
    codecs: tuple[str, ...]
    extracted: int
    transcoded: int
    present: int
    images: int
    executor: str
    batch: int
    peak_bytes: int
    seconds: float
    stage_seconds: dict[str, float]
    executor_choice: ExecutorChoice | None = None
    restarts: int = 0
    choice: CodecChoice | None = None
    left_out: tuple[LeftOut, ...] = ()
    variants: tuple[Recipe, ...] = ()
