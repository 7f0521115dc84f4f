"""Reading features into training loops."""

from __future__ import annotations

from typing import Any

from ..environment import read_result
from .text import range_text

_OURS = "hapistore"
_NAMES = {"pooled": "Pooled features, 1,280 values", "maps": "Maps, 1,280 × 7 × 7"}


def read_table() -> str:
    """Rows a second of every system, and how much faster hapistore is."""
    result = read_result("read")
    parts = []
    for case, name in _NAMES.items():
        found = result[case]
        parts += [
            f"**{name}**, {found['rows']:,} rows",
            "",
            "| | rows/s | hapistore, times as fast | on disk, MB | loader workers | setting |",
            "|---|---|---|---|---|---|",
            *(_row(label, found) for label in found["rows_per_second"]),
            "",
            _verdict(found),
            "",
        ]
    firsts = result["first_batch_seconds"]
    listed = ", ".join(f"{float(share):.0%}: {range_text(seconds, 2)} s" for share, seconds in firsts.items())
    where = result["environment"]
    named = ("torch", "litdata", "mosaicml-streaming", "webdataset", "pylance", "datasets", "ffcv")
    parts += [
        f"Time to the first batch after `load_state_dict`, shards not opened yet, at a share of the epoch: {listed}.",
        "",
        f"Medians (lowest–highest); {where['cores']} cores of an {where['cpu']}; "
        + ", ".join(f"{name} {where['versions'][name]}" for name in named)
        + ".",
    ]
    return "\n".join(parts)


def read_cold_table() -> str:
    """A first epoch over a slow link, as a share of it."""
    result = read_result("read_cold_1000mbit")
    names = {
        "window": "hapistore, `window`",
        "global": "hapistore, `global`",
        "obstore": "the same objects, bare obstore",
    }
    lines = [
        f"| {result['link_mbit_s']:,} Mbit/s, {result['bytes'] / 1e6:,.0f} MB | of the link | of bare obstore |",
        "|---|---|---|",
        *(
            f"| {label} | {range_text(result['of_link'][name], 2)} | {range_text(result['of_obstore'][name], 2)} |"
            for name, label in names.items()
        ),
    ]
    where = result["environment"]
    return "\n".join(
        [*lines, "", f"Medians (lowest–highest); {where['cores']} cores of an {where['cpu']}, which the server shares."]
    )


def _row(label: str, found: dict[str, Any]) -> str:
    times = "" if label == _OURS else f"{range_text(found['ours_of'][label], 1)}×"
    size = found["bytes"].get(label)
    stored = f"{size / 1e6:,.0f}" if size else ""
    return (
        f"| {label} | {range_text(found['rows_per_second'][label], 0)} | {times} | {stored} "
        f"| {found['workers'][label]} | {found['settings'][label]} |"
    )


def _verdict(found: dict[str, Any]) -> str:
    times = {label: spread["median"] for label, spread in found["ours_of"].items()}
    loaders, buckets = (min(times[label] for label in found[kind]) for kind in ("loaders", "buckets"))
    return f"Times the fastest loader library: {loaders:.1f}; the fastest that reads object stores too: {buckets:.1f}."
