"""The shard cache: on traces, and over a slow link."""

from __future__ import annotations

from ..environment import read_result
from .text import range_text

_COLUMNS = ("hapistore", "offline optimum", "LRU (Streaming)", "FIFO", "delete after use (LitData)")


def cache_table() -> str:
    """Hit rates by policy, and what a lease costs."""
    result = read_result("cache")
    lines = [f"| hits of all uses but the first | {' | '.join(_COLUMNS)} |", f"|---|{'---|' * len(_COLUMNS)}"]
    for case, rates in sorted(result["hit_rates"].items(), key=_order):
        readers, _, times = case.partition(" readers, ")
        label = f"{readers} reader{'s' if readers != '1' else ''}, {times}"
        lines.append(f"| {label} | {' | '.join(range_text(rates[name], 3) for name in _COLUMNS)} |")
    leases = ", ".join(
        f"{what} {times['median']:.1f} (p99 {times['p99']:.0f})" for what, times in result["lease_us"].items()
    )
    where = result["environment"]
    lines += ["", f"Microseconds: {leases}. {where['cores']} cores of an {where['cpu']}."]
    return "\n".join(lines)


def _order(item: tuple[str, object]) -> tuple[int, int]:
    readers, _, times = item[0].partition(" readers, ")
    return int(readers), int(times.split()[0])


def cache_link_table() -> str:
    """Epochs through caches of the same capacity that are too small."""
    result = read_result("cache_1000mbit")
    ours = result["seconds"]["hapistore, f16"]["median"]
    lines = [
        "| | seconds an epoch | times hapistore, f16 | MB over the link an epoch | most on the disk, MiB |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {range_text(seconds, 1)} | {seconds['median'] / ours:.1f} "
            f"| {result['link_bytes'][name]['median'] / 1e6:,.0f} | {result['peak_disk_bytes'][name] / 2**20:,.0f} |"
            for name, seconds in result["seconds"].items()
        ),
        "",
    ]
    where, named = result["environment"], ("litdata", "mosaicml-streaming")
    lines.append(
        f"{result['rows']:,} rows of 1,280 values, capacity {result['capacity_bytes'] / 2**20:.0f} MiB, "
        f"{result['link_mbit_s']:,} Mbit/s. Medians (lowest–highest); {where['cores']} cores of an {where['cpu']}; "
        + ", ".join(f"{name} {where['versions'][name]}" for name in named)
        + "."
    )
    return "\n".join(lines)
