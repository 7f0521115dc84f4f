"""What stands in a report of time: how features were made, and what the user's runs took."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from ..units import format_bytes, format_rate, format_seconds
from .choosing import evenly
from .figures import measure_rows, part_columns, stacked_rows
from .holdings import Features, Holding
from .markup import Child, Html, el, shown
from .plan_runs import PlanBar, PlanRun
from .runs import ExtractionRun, IngestRun, RunFile, TrainedEpoch, TrainingRun
from .tables import figure_table, named

_MOST_BARS = 40
_MOST_COLUMNS = 120


def time_spent(holding: Holding, runs: Sequence[RunFile]) -> Html:
    """What the store tells of extractions, then a part for each run."""
    names = {digest: one.label for one in holding.features for digest in one.recipes}
    hint = [
        "Nothing is known of runs here. ", el("code", f"hapistore extract {holding.version.label} … --json > run.json"),
        ", then ", el("code", f"hapistore report {holding.version.label} --run run.json"), " shows what it took.",
    ]  # fmt: skip
    return el(
        "section",
        el("header", el("h2", "Where the time went"), el("span", "as measured", class_="soft")),
        _made(holding.features),
        [run_part(run, names) for run in runs],
        el("p", hint, class_="below note") if not runs else None,
        class_="part",
    )


def run_part(file: RunFile, names: dict[str, str] | None = None) -> Html:
    """One run.

    Args:
        names: labels of recipes, by their digests.
    """
    run = file.run
    if isinstance(run, ExtractionRun):
        return _extraction(file.name, run, names or {})
    if isinstance(run, IngestRun):
        return _ingest(file.name, run)
    if isinstance(run, PlanRun):
        return _plan(file.name, run)
    return _training(file.name, run)


def _part(title: str, about: Sequence[str], facts: Mapping[str, str | None], *drawings: Child) -> Html:
    """A run: what it was, its figures, and drawings beside them."""
    listed = [el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items() if fact]
    words = " · ".join(shown(word) for word in about if word)
    return el(
        "div",
        el("div", el("h3", title), el("p", el("bdi", words), class_="soft"), el("dl", listed, class_="small")),
        el("div", *drawings),
        class_="run",
    )


def _made(features: Sequence[Features]) -> Html | None:
    """What shards say of how they were made, in a line where several codecs say the same."""
    codecs: dict[tuple[str, str, str, str], list[str]] = {}
    for one in features:
        if one.made is not None:
            rates = ", ".join(f"{shown(name)} {rate:,.0f}" for name, rate in one.made.images_per_s.items())
            by = f"from {shown(one.made.source)}" if one.made.source else shown(one.made.executor)
            codecs.setdefault((one.label, by, rates, one.made.stored), []).append(one.codec)
    if not codecs:
        return None
    rows: list[Sequence[Child]] = [
        [named(label, ", ".join(found)), by or None, rates or None, f"{stored} UTC"]
        for (label, by, rates, stored), found in codecs.items()
    ]
    return figure_table(("", "made by", "images/s when chosen", "stored"), rows)


def _extraction(name: str, run: ExtractionRun, names: dict[str, str]) -> Html:
    about = [name, run.dataset, names.get(run.recipe, run.recipe[:12]), run.executor]
    counts = {"extracted": run.extracted, "transcoded": run.transcoded, "done before": run.present}
    facts = {
        "took": format_seconds(run.seconds),
        "images": f"{run.images:,}",
        "images/s": f"{run.images / run.seconds:,.0f}" if run.images and run.seconds else None,
        "image shards": ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "none",
        "extraction batch": f"{run.batch:,}" if run.batch else None,
        "memory peak": format_bytes(run.peak_bytes) if run.peak_bytes else None,
    }
    if not any(run.stage_s.values()):
        return _part("Extraction", about, facts, el("p", "No stage had anything to do.", class_="note"))
    rows: list[tuple[Child, float, Child]] = [
        (shown(stage), seconds, format_seconds(seconds)) for stage, seconds in run.stage_s.items()
    ]
    whole_s = max(*run.stage_s.values(), run.seconds)
    note = (
        f"The whole width is {format_seconds(whole_s)}. Seconds are of all threads together, and stages overlap, so "
        "that their sum may be more than what the extraction took; or less, where the network was loaded and measured."
    )
    return _part("Extraction", about, facts, measure_rows(rows, whole_s), el("p", note, class_="note"))


def _ingest(name: str, run: IngestRun) -> Html:
    rate = f"{run.images / run.seconds:,.0f}" if run.images and run.seconds else None
    facts = {
        "took": format_seconds(run.seconds),
        "images": f"{run.images:,}",
        "images/s": rate,
        "bytes": format_bytes(run.bytes),
        "left out": f"{run.left_out:,}" if run.left_out else None,
    }
    said = [el("p", f"{format_bytes(run.bytes / run.seconds)}/s", class_="big")] if run.bytes and run.seconds else []
    done = f"It stored {run.shards_written:,} of the version's {run.shards:,} image shards."
    return _part("Ingest", [name, run.dataset], facts, said, el("p", done, class_="note"))


def _plan(name: str, run: PlanRun) -> Html:
    (chosen,) = [bar for bar in run.bars if bar.index == run.chosen]
    drawn = run.bars
    if len(run.bars) > _MOST_BARS:
        kept = {run.chosen, *(bar.index for bar in evenly(run.bars, _MOST_BARS - 1))}
        drawn = tuple(bar for bar in run.bars if bar.index in kept)
    whole = max(max(sum(bar.stage_s.values()), bar.epoch_s) for bar in drawn) or 1.0
    rows = [(_cut(bar, run.chosen), list(bar.stage_s.items()), bar.epoch_s, _cost(bar)) for bar in drawn]
    facts = {
        "chosen": f"{chosen.index} {shown(chosen.name)}",
        "an epoch": format_seconds(chosen.epoch_s),
        "an image": format_bytes(chosen.bytes_per_image),
        "link": format_rate(run.link_bytes_per_s),
        "policy": shown(run.policy),
        "candidates": f"{len(run.bars):,}" + (f", {len(drawn)} of them here" if len(drawn) < len(run.bars) else ""),
    }
    legend = [el("li", el("i", class_=stage), stage) for stage in chosen.stage_s]
    note = "Computed from measured times. Parts are how long each stage is busy in an epoch; the tick is the epoch."
    return _part(
        "Plan", [name, run.model, run.assumed], facts,
        el("ul", legend, el("li", el("i", class_="tick"), "epoch"), class_="legend"),
        stacked_rows(rows, whole, class_="plan"), el("p", note, class_="note"),
    )  # fmt: skip


def _cut(bar: PlanBar, chosen: int) -> Html:
    label = f"{bar.index}  {shown(bar.name)}"
    return el("b", label, " ← chosen") if bar.index == chosen else el("span", label)


def _cost(bar: PlanBar) -> Html:
    return el("span", f"{format_bytes(bar.bytes_per_image)} an image · {format_seconds(bar.epoch_s)}")


def _training(name: str, run: TrainingRun) -> Html:
    seconds = [epoch.seconds for epoch in run.epochs]
    waits = [epoch.wait_s for epoch in run.epochs if epoch.wait_s is not None]
    pulled = [epoch.bytes for epoch in run.epochs if epoch.bytes is not None]
    told_s = sum(epoch.seconds for epoch in run.epochs if epoch.wait_s is not None)
    least, most = format_seconds(min(seconds)), format_seconds(max(seconds))
    facts = {
        "took": format_seconds(sum(seconds)),
        "epochs": f"{len(seconds):,}",
        "an epoch": f"{format_seconds(statistics.median(seconds))} ({least}–{most})",
        "waiting for data": f"{100 * sum(waits) / told_s:.3g} %" if told_s else None,
        "pulled": format_bytes(sum(pulled)) if pulled else None,
        "pulled in an epoch": format_bytes(statistics.median(pulled)) if len(pulled) > 1 else None,
    }
    drawn = evenly(run.epochs, _MOST_COLUMNS)
    columns = part_columns([_parts(epoch) for epoch in drawn], about=f"seconds of {len(drawn)} epochs, up to {most}")
    ends = ["first epoch", f"highest {most}", "last"]
    legend = [("wait", "waiting for data"), ("mark", "all else")] if waits else [("mark", "seconds of an epoch")]
    note = f"{len(drawn)} of {len(seconds):,} epochs are drawn." if len(drawn) < len(seconds) else None
    return _part(
        "Training", [name, run.dataset], facts,
        el("ul", [el("li", el("i", class_=class_), what) for class_, what in legend], class_="legend"),
        el("figure", columns, el("figcaption", [el("span", end) for end in ends])),
        el("p", note, class_="note") if note else None,
    )  # fmt: skip


def _parts(epoch: TrainedEpoch) -> list[tuple[str, float]]:
    wait_s = epoch.wait_s or 0.0
    return [("wait", wait_s), ("mark", epoch.seconds - wait_s)]
