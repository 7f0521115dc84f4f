"""What stands on a contact sheet, from top to bottom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hapistore_format import SUBSETS, DatasetVersion

from ..ingestion import Quarantined
from ..units import format_bytes
from .figures import bar_rows, byte_columns, shape_plot
from .markup import Html, document, el, shown
from .pictures import SIDE_PX, Sizes, Thumbnail
from .style import STYLE
from .survey import Label, LabelCount, Survey

_BARS = 10
_LEFT_OUT = 60
_SMALL_PX = 40


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that a contact sheet says.

    Attributes:
        thumbnails: by label, of the labels that the survey counts shard by shard.
        sizes: of all images in the ``shards_read`` shards.
    """

    version: DatasetVersion
    survey: Survey
    thumbnails: dict[Label, list[Thumbnail]]
    sizes: Sizes
    left_out: Sequence[Quarantined]
    shards_read: int


def contact_sheet(contents: Contents) -> str:
    """The page."""
    version, found, thumbnails = contents.version, contents.survey, contents.thumbnails
    main = el(
        "main",
        _head(version, found, len(contents.left_out)),
        _overview(found, contents.sizes),
        [_label_section(number, label, thumbnails[label.label], found) for number, label in enumerate(found.labels, 1)],
        _other_labels(found),
        _left_out(version, contents.left_out),
        _foot(contents),
    )
    return document(f"{version.label} · contact sheet", STYLE, main)


def _head(version: DatasetVersion, found: Survey, left_out: int) -> Html:
    facts = {
        "images": f"{found.images:,}",
        "labels": f"{found.num_labels:,}",
        "stored": format_bytes(version.size_bytes),
        "shards": f"{len(version.shards):,}",
        "dropped": f"{found.dropped:,}" if found.dropped else None,
        "left out": el("a", f"{left_out:,}", href="#left-out") if left_out else None,
    }
    return el(
        "header",
        el("p", "contact sheet", class_="eyebrow"),
        el("h1", version.dataset, el("span", f"@{version.number}")),
        el("p", f"committed {version.created[:16].replace('T', ' ')} UTC", class_="soft"),
        el("dl", [el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items() if fact], class_="facts"),
    )


def _overview(found: Survey, sizes: Sizes) -> Html:
    links = [
        (el("a", _name(label.label), href=f"#label-{number}"), label.images)
        for number, label in enumerate(found.labels[:_BARS], 1)
    ]
    more = found.num_labels - len(links)
    panels = [
        el(
            "div",
            el("h3", "largest labels" if more else "labels"),
            bar_rows(links, found.labels[0].images),
            el("p", f"and {more:,} more", class_="soft") if more else None,
        )
    ]
    if set(found.subsets) != {None}:
        subsets = [("no subset" if name is None else name, count) for name, count in _in_order(found.subsets)]
        panels.append(el("div", el("h3", "subsets"), bar_rows(subsets, found.images)))
    if sizes.bytes:
        panels.append(el("div", el("h3", "width and height"), _shapes(sizes, found.images)))
        panels.append(el("div", el("h3", "bytes of an image"), byte_columns(sizes.bytes), _formats(sizes)))
    return el("section", panels, class_="overview")


def _shapes(sizes: Sizes, images: int) -> list[Html]:
    shapes = sorted(sizes.shapes.items(), key=lambda item: (-item[1], item[0]))
    if len(shapes) == 1:
        (width, height), _ = shapes[0]
        return [
            el("p", f"{width:,} × {height:,}", class_="big"),
            el("p", "all of them" if len(sizes.bytes) == images else "all that were read", class_="soft"),
        ]
    (width, height), count = shapes[0]
    share = f"{100 * count / len(sizes.bytes):.0f} %"
    return [shape_plot(shapes), el("p", f"most often {width:,} × {height:,} ({share})", class_="below")]


def _formats(sizes: Sizes) -> Html:
    return el("p", ", ".join(f"{name} {count:,}" for name, count in sizes.formats.most_common(6)), class_="below")


def _label_section(number: int, label: LabelCount, thumbnails: Sequence[Thumbnail], found: Survey) -> Html:
    parts = [f"{'no subset' if name is None else name} {count:,}" for name, count in _in_order(label.subsets)]
    all_there = len(thumbnails) == label.images
    return el(
        "section",
        el(
            "header",
            el("h2", _name(label.label), class_="none" if label.label is None else None),
            el("span", f"{label.images:,}", class_="soft"),
            el("span", " · ".join(parts), class_="soft") if set(found.subsets) != {None} else None,
            el("span", "all shown" if all_there else f"{len(thumbnails):,} shown", class_="soft end"),
        ),
        el("ul", [el("li", _picture(thumbnail)) for thumbnail in thumbnails], class_="sheet"),
        class_="label",
        id=f"label-{number}",
    )


def _in_order(subsets: dict[str | None, int]) -> list[tuple[str | None, int]]:
    """train, val, test, and none of them last."""
    return [(name, subsets[name]) for name in (*SUBSETS, None) if name in subsets]


def _picture(thumbnail: Thumbnail) -> Html:
    key = shown(thumbnail.key)
    if not thumbnail.uri:
        return el("span", "not decoded here", class_="gap", title=key)
    small = max(thumbnail.width, thumbnail.height) <= _SMALL_PX
    about = [key, f"{thumbnail.width:,} × {thumbnail.height:,}", *([thumbnail.subset] if thumbnail.subset else [])]
    return el("img", src=thumbnail.uri, alt=key, title=" · ".join(about), class_="small" if small else None)


def _other_labels(found: Survey) -> Html | None:
    if not found.others:
        return None
    unnamed = found.num_labels - len(found.labels) - len(found.others)
    words = [el("li", _name(label), " ", el("span", f"{count:,}", class_="soft")) for label, count in found.others]
    return el(
        "section",
        el("header", el("h2", "Other labels"),
           el("span", f"{found.num_labels - len(found.labels):,} without pictures here", class_="soft")),
        el("ul", words, el("li", f"and {unnamed:,} more", class_="soft") if unnamed else None, class_="words"),
        class_="rest",
    )  # fmt: skip


def _left_out(version: DatasetVersion, images: Sequence[Quarantined]) -> Html | None:
    if not images:
        return None
    reasons = sorted(Counter(image.reason for image in images).items(), key=lambda item: (-item[1], item[0]))
    rows = [
        el(
            "tr",
            el("td", shown(i.key)),
            el("td", shown(i.reason), class_="code"),
            el("td", shown(i.detail), class_="soft"),
        )
        for i in images[:_LEFT_OUT]
    ]
    more = f"{len(images) - _LEFT_OUT:,} more: hapistore quarantine ls {version.label}"
    return el(
        "section",
        el("header", el("h2", "Left out"), el("span", f"{len(images):,} that could not be used", class_="soft")),
        el("ul", [el("li", el("b", shown(code)), f" {count:,}") for code, count in reasons], class_="reasons"),
        el("table", el("thead", el("tr", [el("th", name) for name in ("key", "reason", "what was found")])),
           el("tbody", rows)),
        el("p", more, class_="soft below") if len(images) > _LEFT_OUT else None,
        class_="out",
        id="left-out",
    )  # fmt: skip


def _foot(contents: Contents) -> Html:
    pictures, images = sum(map(len, contents.thumbnails.values())), contents.survey.images
    read, shards = contents.shards_read, len(contents.version.shards)
    if pictures == images:
        which = f"All {pictures:,} images are shown."
    elif read == shards:
        which = f"{pictures:,} of {images:,} images are shown, those of a label evenly spread over the dataset."
    else:
        which = (
            f"{pictures:,} of {images:,} images are shown, those of a label evenly spread over {read:,} of {shards:,} "
            f"shards; width, height and bytes are of the {len(contents.sizes.bytes):,} images in these."
        )
    return el(
        "footer",
        el("p", which),
        el("p", f"Pictures are upright, at most {SIDE_PX} pixels a side. This page loads nothing and runs nothing."),
    )


def _name(label: Label) -> Html:
    """A label as text that keeps its own direction."""
    if label is None:
        return el("span", "no label", class_="none")
    return el("bdi", shown(label)) if label.strip() else el("span", repr(label), class_="none")
