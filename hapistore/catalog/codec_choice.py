"""``auto``: which codec makes a feature smallest within an error, found by measuring."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hapistore_format import FeatureShardReader, FormatError, Recipe, ShardRef, codec_names, write_feature_shard
from hapistore_format.codecs.axes import ChannelAxes

from ..errors import UsageError
from ..stores import ObjectStore, exists
from .names import features_name
from .reading import read_object

AUTO = "auto"
DEFAULT_MAX_ERROR = 0.002
"""Of a channel's spread: what 8 bits a value give."""
_SAMPLE_BYTES, _LEAST_ROWS = 16 << 20, 64
_ROUNDS = 3
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, kw_only=True)
class MeasuredCodec:
    """One codec on a sample of features.

    Attributes:
        bytes_per_row: of a whole feature shard of the sample.
        error: largest error of a value, in parts of its channel's spread; infinite where a value cannot be stored.
        decode_bytes_s: float32 bytes made per second by one thread.
    """

    codec: str
    bytes_per_row: float
    error: float
    decode_bytes_s: float


@dataclass(frozen=True, kw_only=True)
class CodecChoice:
    """The codec chosen, and what was measured for it; nothing where an earlier run had chosen.

    Attributes:
        max_error: the bound; rows: how many rows were measured.
    """

    codec: str
    max_error: float
    rows: int = 0
    measured: tuple[MeasuredCodec, ...] = ()

    @property
    def provenance(self) -> dict[str, Any]:
        """What feature shards say of the choice, so that the next run need not measure again."""
        return {AUTO: {"codec": self.codec, "max_error": self.max_error}}


def choose_codec(features: np.ndarray, max_error: float) -> CodecChoice:
    """Measure every codec on a sample and take the smallest of those within ``max_error``.

    Sizes and errors decide, rates do not: equal features give an equal choice.

    Args:
        features: float32 [rows, *shape], from which rows are taken at equal distances.
        max_error: in parts of a channel's spread (its largest value − its smallest; of a constant one, its magnitude).
    """
    count = min(len(features), max(_LEAST_ROWS, _SAMPLE_BYTES // features[0].nbytes))
    sample = np.ascontiguousarray(features[np.linspace(0, len(features) - 1, count).astype(np.int64)])
    measured = tuple(_measure(sample, codec) for codec in codec_names())
    within = [m for m in measured if m.error <= max_error]
    best = min(within, key=lambda m: m.bytes_per_row)
    return CodecChoice(codec=best.codec, max_error=max_error, rows=count, measured=measured)


def find_choice(store: ObjectStore, recipe: Recipe, shard: ShardRef, max_error: float) -> CodecChoice | None:
    """What an earlier run with the same bound chose, by what this shard's features say.

    Raises:
        FormatError: they are damaged.
    """
    for codec in codec_names():
        name = features_name(recipe.digest, codec, shard.images)
        if exists(store, name):
            choice = CodecChoice(codec=codec, max_error=max_error)
            if read_object(store, name, FeatureShardReader).provenance.get(AUTO) == choice.provenance[AUTO]:
                return choice
    return None


def check_max_error(codecs: Sequence[str], max_error: float | None) -> float:
    """The bound that ``auto`` is to keep.

    Raises:
        UsageError: it is none, or there is no ``auto`` to keep it.
    """
    if max_error is None:
        return DEFAULT_MAX_ERROR
    if AUTO not in codecs:
        raise UsageError(f"an error bound chooses among codecs: give codec {AUTO!r} with it, not {', '.join(codecs)}")
    if not 0 <= max_error < 1:
        raise UsageError(f"the error bound is {max_error}, expected a part of a channel's spread: 0 to 1")
    return max_error


def replace_auto(codecs: Sequence[str], choice: CodecChoice | None) -> tuple[str, ...]:
    """The codecs with ``auto`` replaced by what was chosen, each once."""
    names = (choice.codec if choice and codec == AUTO else codec for codec in codecs)
    return tuple(dict.fromkeys(names))


def _measure(sample: np.ndarray, codec: str) -> MeasuredCodec:
    try:
        data = write_feature_shard(sample, codec=codec, recipe=_NO_DIGEST, images=_NO_DIGEST, provenance={})
    except FormatError:  # it says which row it cannot store; a codec that can is chosen
        return MeasuredCodec(codec=codec, bytes_per_row=float("inf"), error=float("inf"), decode_bytes_s=0.0)
    reader = FeatureShardReader(data, where=codec)
    out = np.empty_like(sample)
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        reader.features(out)
        seconds.append(time.perf_counter() - started)
    return MeasuredCodec(
        codec=codec,
        bytes_per_row=len(data) / len(sample),
        error=relative_error(sample, out),
        decode_bytes_s=sample.nbytes / min(seconds),
    )


def relative_error(features: np.ndarray, decoded: np.ndarray) -> float:
    """The largest error of a value in parts of its channel's spread; both are float32 [rows, *shape]."""
    if np.array_equal(features, decoded, equal_nan=True):
        return 0.0
    view = ChannelAxes.of(features.shape[1:]).view
    x = view(features).astype(np.float64)
    low, high = x.min(axis=(0, 2)), x.max(axis=(0, 2))
    spread = np.where(high > low, high - low, np.abs(high))
    error = np.abs(view(decoded) - x).max(axis=(0, 2))
    return float(np.divide(error, spread, out=np.zeros_like(error), where=error > 0).max())
