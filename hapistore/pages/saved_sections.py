"""What stands in a report of a dataset's bytes: what is stored, and what crosses the link."""

from __future__ import annotations

from collections.abc import Sequence

from ..units import format_bytes, format_rate, format_seconds
from .figures import measure_rows
from .holdings import Features, Holding
from .link_plot import FRAMES, Line, link_plot
from .markup import Child, Html, el, shown
from .tables import figure_table, named

LEAST_RATE, MOST_RATE = 50e6 / 8, 10e9 / 8
"""Of the links that are drawn, in bytes/s: 50 Mbit/s and 10 Gbit/s."""
_TABLE_RATES = (LEAST_RATE, 200e6 / 8, 1e9 / 8, MOST_RATE)
_MOST_LINES = 16


def head(holding: Holding, epochs: int) -> Html:
    """Name, figures, and in a sentence what the features spare."""
    version = holding.version
    facts = {
        "images": f"{version.rows:,}",
        "stored": format_bytes(version.size_bytes),
        "an image": format_bytes(holding.per_image(version.size_bytes)),
        "shards": f"{len(version.shards):,}",
        "recipes": f"{holding.recipes:,}",
        "features": format_bytes(holding.feature_bytes) if holding.features else None,
    }
    return el(
        "header",
        el("p", "report · what was saved, and where the time goes", class_="eyebrow"),
        el("h1", version.dataset, el("span", f"@{version.number}")),
        el("p", f"committed {version.created[:16].replace('T', ' ')} UTC", class_="soft"),
        el("p", _lead(holding, epochs), class_="lead"),
        el("dl", [el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items() if fact], class_="facts"),
    )


def _lead(holding: Holding, epochs: int) -> list[str]:
    version, best = holding.version, holding.smallest
    if best is None:
        what = "No features are complete yet" if holding.features else "There are no features yet"
        advice = f"hapistore extract {version.label} --backbone efficientnet_lite0"
        return [f"{what}: every epoch pulls {format_bytes(version.size_bytes)} of images. Make some with ",
                el("code", advice), "."]  # fmt: skip
    return [
        f"{epochs:,} epochs pull {format_bytes(epochs * version.size_bytes)} as images, "
        f"{format_bytes(epochs * best.epoch_bytes)} as {shown(best.codec)} features: ",
        el("b", against(version.size_bytes, best.epoch_bytes)),
        ".",
    ]


def against(images: int, features: int) -> str:
    """How much less features are than images, for people."""
    ratio, word = (images / features, "fewer bytes") if features <= images else (features / images, "more bytes")
    return f"{ratio:,.0f}× {word}" if ratio >= 9.95 else f"{ratio:.1f}× {word}"


def saved(holding: Holding, epochs: int) -> Html:
    """Bytes of an image as stored and in each codec, as bars and as a table."""
    version = holding.version
    image = holding.per_image(version.size_bytes)
    sizes = [holding.per_image(one.epoch_bytes) for one in holding.features]
    bars: list[tuple[Child, float, Child]] = [("images as stored", image, format_bytes(image))]
    bars += [
        (named(one.label, one.codec), size, _about(one, size))
        for one, size in zip(holding.features, sizes, strict=True)
    ]
    heads = ("", "an image", "of images", "there is", "stored", "an epoch", f"{epochs:,} epochs")
    rows: list[Sequence[Child]] = [
        ["images as stored", format_bytes(image), None, _of(len(version.shards), len(version.shards)),
         format_bytes(version.size_bytes), format_bytes(version.size_bytes), format_bytes(epochs * version.size_bytes)]
    ]  # fmt: skip
    rows += [_saved_row(holding, one, size, epochs) for one, size in zip(holding.features, sizes, strict=True)]
    return el(
        "section",
        el("header", el("h2", "What was saved"), el("span", "bytes of an image", class_="soft")),
        measure_rows(bars, max(image, *sizes)) if sizes else measure_rows(bars, image),
        figure_table(heads, rows),
        el("p", _spent(holding), class_="below note"),
        class_="part",
    )


def _about(one: Features, size: float) -> str:
    return format_bytes(size) + ("" if one.complete else f", {one.shards:,} of {one.of_shards:,} shards")


def _saved_row(holding: Holding, one: Features, size: float, epochs: int) -> Sequence[Child]:
    about = "" if one.complete else "≈ "
    return [
        named(one.label, one.codec),
        format_bytes(size),
        against(holding.version.size_bytes, one.epoch_bytes).removesuffix(" bytes"),
        _of(one.shards, one.of_shards),
        format_bytes(one.bytes),
        about + format_bytes(one.epoch_bytes),
        about + format_bytes(epochs * one.epoch_bytes),
    ]


def _of(count: int, whole: int) -> str:
    return "all of it" if count == whole else f"{count:,} of {whole:,} shards"


def _spent(holding: Holding) -> str:
    said = []
    if holding.features:
        share = 100 * holding.feature_bytes / holding.version.size_bytes
        weights = f", and {format_bytes(holding.weights_bytes)} on frozen weights" if holding.weights_bytes else ""
        said.append(
            f"The store spends {format_bytes(holding.feature_bytes)} on these features, {share:.3g} % of what the "
            f"images take{weights}."
        )
    said.append("An epoch pulls every shard once; with room for them (memory_bytes=, cache=), only the first one does.")
    if any(one.variants for one in holding.features):
        said.append("An epoch that draws from variants pulls all of them.")
    if not all(one.complete for one in holding.features):
        said.append("≈ is what all shards would take, by those that there are.")
    return " ".join(said)


def on_the_link(holding: Holding, links: Sequence[float]) -> Html:
    """How long an epoch's bytes take on links from slow to fast, as a drawing and as a table.

    Args:
        links: the user's, in bytes/s.
    """
    lines, names = _lines(holding)
    drawn = lines[:_MOST_LINES]
    rates = min([LEAST_RATE, *links]), max([MOST_RATE, *links])
    columns = sorted({*_TABLE_RATES, *links})
    heads = ["time of an epoch", *(format_rate(rate) + (" (yours)" if rate in links else "") for rate in columns)]
    rows: list[Sequence[Child]] = [
        [name, *(format_seconds(line.bytes / rate) for rate in columns)]
        for name, line in zip(names, lines, strict=True)
    ]
    marked = [number for number, rate in enumerate(columns, 1) if rate in links]
    more = f" {len(lines) - len(drawn):,} more are in the table only." if len(drawn) < len(lines) else ""
    return el(
        "section",
        el("header", el("h2", "On the link"), el("span", "time of an epoch, by what the link gives", class_="soft")),
        [link_plot(drawn, links, rates, frame) for frame in FRAMES],
        figure_table(heads, rows, marked=marked),
        el(
            "p",
            "Computed, not measured: bytes divided by the link. It is the transfer alone, without waiting for "
            f"requests, decoding and training.{more}",
            class_="below note",
        ),
        class_="part",
    )


def _lines(holding: Holding) -> tuple[list[Line], list[Child]]:
    """What crosses the link, and what to call it in a table: codecs alone where there is one recipe."""
    several = len({one.label for one in holding.features}) > 1
    lines, names = [Line(label="images", bytes=max(1, holding.version.size_bytes), kind="images")], ["images"]
    for one in holding.features:
        label = f"{shown(one.label)} · {shown(one.codec)}" if several else shown(one.codec)
        lines.append(Line(label=label, bytes=max(1, one.epoch_bytes), kind="features", estimated=not one.complete))
        names.append(named(one.label, one.codec) if several else label)
    return lines, list(names)
