"""The service: training over a slow link, what it lets through, and many tenants at once."""

from __future__ import annotations

from ..environment import read_result
from .text import range_text

_WAYS = {
    "images": "images over the link",
    "streaming": "streaming: variants, made anew each epoch",
    "first": "stored features, first epoch",
    "stored": "stored features, later epochs",
}


def two_tier_table() -> str:
    """An epoch over each link, by what crosses it."""
    result = read_result("two_tier")
    epochs = result["epochs"]
    links = sorted(epochs["links"].items(), key=lambda item: int(item[0]))
    lines = [
        f"| | bytes on the wire per image | {' | '.join(f'{int(link):,} Mbit/s, s' for link, _ in links)} |",
        f"|---|---|{'---|' * len(links)}",
    ]
    for way, label in _WAYS.items():
        seconds = " | ".join(range_text(by_way[way]["seconds"], 2) for _, by_way in links)
        lines.append(f"| {label} | {links[-1][1][way]['bytes_per_image']['median']:,.0f} | {seconds} |")
    where = result["environment"]
    lines += [
        "",
        f"{epochs['images']} photographs of {epochs['image_bytes']:,.0f} bytes, EfficientNet-Lite0 to its pooled "
        f"features, {epochs['codec']}; medians (lowest–highest) of "
        f"{links[0][1]['images']['seconds']['runs']} epochs; a core of an {where['cpu']} for each tier.",
    ]
    return "\n".join(lines)


def service_through_table() -> str:
    """How fast stored features pass through a service."""
    result = read_result("two_tier")
    loopback, fill = result["loopback"], result["fill"]
    readers = list(next(iter(loopback["gb_per_s"].values())))
    lines = [
        f"| GB/s through the service, readers at once | {' | '.join(readers)} |",
        f"|---|{'---|' * len(readers)}",
        *(
            f"| {loopback['bytes'][codec] / 1e6:,.0f} MB of {codec} each "
            f"| {' | '.join(range_text(speeds[count], 2) for count in readers)} |"
            for codec, speeds in loopback["gb_per_s"].items()
        ),
    ]
    shares = fill["of_link"]
    percent = {who: range_text({k: v * 100 for k, v in one.items()}, 1, " %") for who, one in shares.items()}
    where = result["environment"]
    lines += [
        "",
        f"Of a link of {fill['link_mbit_s']:,} Mbit/s they fill {percent['service']}; bare obstore fills "
        f"{percent['obstore']} from the store behind it. {where['cores']} cores of an {where['cpu']}.",
    ]
    return "\n".join(lines)


def service_tenants_table() -> str:
    """Tenants at once, by network: against an even share of the machine."""
    result = read_result("service_tenants")
    by_network: dict[str, list[dict[str, dict[str, float]]]] = {}
    for tenant in result["tenants"]:
        by_network.setdefault(tenant["network"], []).append(tenant)
    lines = [
        "| network | tenants | loading, s | alone, s | ideal, s | at once, s | times ideal, the worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for network, tenants in by_network.items():
        spans = (_span(tenants, figure) for figure in ("alone_s", "ideal_s", "seconds"))
        worst = max(tenant["times_ideal"]["high"] for tenant in tenants)
        loading = f"{result['loading_s'][network]['median']:.1f}"
        lines.append(f"| {network} | {len(tenants)} | {loading} | {' | '.join(spans)} | {worst:.2f} |")
    where = result["environment"]
    right = "all features right" if result["right"] else "FEATURES WRONG"
    lines += [
        "",
        f"{len(result['tenants'])} tenants with {result['images_each']} images each, and one shard that all want; "
        f"{result['memory_bytes'] / 2**30:.1f} GiB; {right}; extracted in each round: "
        f"{', '.join(map(str, result['extracted']))} shards, of {', '.join(map(str, result['distinct']))} that are "
        f"wanted. The worst tenant took {range_text(result['worst_times_ideal'], 2)} times its ideal, "
        f"{range_text(result['worst_times_ideal_loaded'], 2)} times were loading no work. Medians of "
        f"{result['worst_times_ideal']['runs']} rounds, lowest–highest tenant; {where['cores']} cores of an "
        f"{where['cpu']}.",
    ]
    return "\n".join(lines)


def _span(tenants: list[dict[str, dict[str, float]]], figure: str) -> str:
    """The lowest and the highest of the tenants' medians."""
    medians = [tenant[figure]["median"] for tenant in tenants]
    low, high = f"{min(medians):,.1f}", f"{max(medians):,.1f}"
    return low if low == high else f"{low}–{high}"
