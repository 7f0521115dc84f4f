"""How features were made, as far as one of their shards says. Anyone may have written that: what is odd is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from hapistore_format import FeatureShardReader

from ..catalog.names import parse_name
from ..catalog.reading import read_object
from ..stores import ObjectInfo, ObjectStore

MOST_BYTES = 32 << 20
"""Of a shard that is read for this. What is wanted stands at its end, and is under the checksums of all of it."""
_MOST_RATES = 12
_MOST_PER_S = 1e9


@dataclass(frozen=True, kw_only=True)
class Made:
    """What made a feature shard.

    Attributes:
        stored: when, by the store's clock, ``2026-11-26 21:09``.
        executor: with device and variant, for people; empty where it is not told.
        images_per_s: what candidates gave when the executor was chosen, by candidate, the fastest first.
        source: the codec whose features it was made from, in place of images; empty where it was extracted.
    """

    stored: str
    executor: str
    images_per_s: Mapping[str, float]
    source: str


def read_made(store: ObjectStore, info: ObjectInfo) -> Made | None:
    """Read a feature shard for its provenance; None where it is larger than `MOST_BYTES`.

    Raises:
        FormatError, NotFound: it is damaged, or gone.
    """
    if info.bytes > MOST_BYTES:
        return None
    said = read_object(store, info.name, FeatureShardReader).provenance
    words = [_text(said.get(key)) for key in ("executor", "variant")]
    device = _text(said.get("device"))
    executor = " ".join(filter(None, words))
    return Made(
        stored=datetime.fromtimestamp(info.modified, timezone.utc).strftime("%Y-%m-%d %H:%M"),
        executor=f"{executor} on {device}" if executor and device else executor,
        images_per_s=_rates(said.get("chosen")),
        source=_source(_text(said.get("transcoded_from"))),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _rates(chosen: object) -> dict[str, float]:
    found: Any = chosen.get("images_per_second") if isinstance(chosen, dict) else None
    if not isinstance(found, dict):
        return {}
    rates = {name: float(rate) for name, rate in found.items() if _is_rate(rate)}
    return dict(sorted(rates.items(), key=lambda item: (-item[1], item[0]))[:_MOST_RATES])


def _is_rate(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= _MOST_PER_S


def _source(name: str) -> str:
    """The codec in the name of a feature shard."""
    parsed = parse_name(name)
    return parsed.parts["codec"] if parsed and parsed.kind == "features" else ""
