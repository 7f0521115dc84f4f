"""The report: what features save of datasets' bytes, what that is on a link, and where the time of runs went."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..appearing import appearing, check_free
from ..catalog import parse_dataset, require_store, resolve_version
from ..errors import UsageError
from ..stores import ObjectStore
from .holdings import Holding, holding_of
from .markup import Html, document, el
from .plan_runs import PlanRun
from .report_style import REPORT_STYLE
from .run_sections import run_part, time_spent
from .runs import RunFile, read_run
from .saved_sections import head, on_the_link, saved

_MOST_LINKS = 6
_USUAL_LINK = 1e9 / 8


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is shown besides what the store holds.

    Attributes:
        epochs: how many a training has. links: rates that are marked, in bytes/s; profiles are planned for the first.
        runs: JSON files of what the user's runs took.
        replace: whether a file of that name gives way.
    """

    epochs: int = 20
    links: Sequence[float] = ()
    runs: Sequence[Path] = ()
    replace: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UsageError(f"a training of {self.epochs} epochs; expected 1 or more")
        if len(self.links) > _MOST_LINKS:
            raise UsageError(f"{len(self.links)} links; expected {_MOST_LINKS} at most, so that their names have room")
        if not all(0 < link < math.inf for link in self.links):
            raise UsageError("a link gives nothing, or no number of bytes; expected a rate such as 1Gbit/s")


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """What a report shows, and its size."""

    holdings: tuple[Holding, ...]
    runs: tuple[RunFile, ...]
    bytes: int


def write_report(
    store: ObjectStore,
    datasets: Sequence[str],
    path: Path,
    options: ReportOptions | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> ReportResult:
    """Write one HTML file about datasets and runs, which needs nothing else.

    Sizes are those that the store lists; of each kind of features one small shard is read. Equal stores, files and
    options give equal pages.

    Args:
        datasets: at least one; ``pets``, or ``pets@7``.
        on_progress: called with (datasets done, datasets in all).

    Raises:
        UsageError: there is no such dataset, a run's file is wrong or of none of them, or the page cannot be written;
            nothing was.
        FormatError, NotFound: something that is read is damaged, or gone.
    """
    options = options or ReportOptions()
    check_free(path, replace=options.replace)
    link = options.links[0] if options.links else _USUAL_LINK
    runs = tuple(read_run(file, link=link, epochs=options.epochs) for file in options.runs)
    require_store(store)
    versions = [resolve_version(store, dataset) for dataset in datasets]
    labels = [version.label for version in versions]
    if not labels or len(set(labels)) < len(labels):
        raise UsageError(f"datasets {', '.join(labels) or 'of none'}; expected at least one, and each once")
    by_label = _of_datasets(runs, labels)
    holdings = []
    for done, version in enumerate(versions, 1):
        holdings.append(holding_of(store, version))
        if on_progress:
            on_progress(done, len(versions))
    page = _page(holdings, by_label, options)
    with appearing(path, replace=options.replace) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return ReportResult(holdings=tuple(holdings), runs=runs, bytes=len(page.encode()))


def _of_datasets(runs: Sequence[RunFile], labels: Sequence[str]) -> dict[str | None, list[RunFile]]:
    """Runs by the label of the version they are shown with; plans by None, where there are several datasets."""
    found: dict[str | None, list[RunFile]] = {label: [] for label in (*labels, None)}
    for file in runs:
        if isinstance(file.run, PlanRun):
            found[labels[0] if len(labels) == 1 else None].append(file)
            continue
        dataset, _ = parse_dataset(file.run.dataset)
        same = [label for label in labels if label.partition("@")[0] == dataset]
        if not same:
            raise UsageError(
                f"{file.name} is of {file.run.dataset}, the report of {', '.join(labels)}; name {dataset} too, or "
                "leave the file out"
            )
        found[file.run.dataset if file.run.dataset in same else same[0]].append(file)
    return found


def _page(holdings: Sequence[Holding], runs: dict[str | None, list[RunFile]], options: ReportOptions) -> str:
    labels = [holding.version.label for holding in holdings]
    links = [el("a", label, href=f"#dataset-{number}") for number, label in enumerate(labels, 1)]
    plans = [run_part(file) for file in runs[None]]
    main = el(
        "main",
        el("nav", links) if len(links) > 1 else None,
        [_dataset(number, one, runs[one.version.label], options) for number, one in enumerate(holdings, 1)],
        el(
            "section",
            el("header", el("h2", "Plans"), el("span", "the files do not say of which dataset", class_="soft")),
            plans,
            class_="part",
        )
        if plans
        else None,
        _foot(),
    )
    return document(f"{', '.join(labels)} · report", REPORT_STYLE, main)


def _dataset(number: int, holding: Holding, runs: Sequence[RunFile], options: ReportOptions) -> Html:
    return el(
        "article",
        head(holding, options.epochs),
        saved(holding, options.epochs),
        on_the_link(holding, options.links),
        time_spent(holding, runs),
        id=f"dataset-{number}",
    )


def _foot() -> Html:
    return el(
        "footer",
        el("p", "Sizes are those that the store lists, of image shards as stored, dropped images among them, and of "
                "feature shards."),
        el("p", "This page loads nothing and runs nothing."),
    )  # fmt: skip
