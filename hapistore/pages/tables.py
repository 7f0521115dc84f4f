"""Tables of figures, which become lists on narrow screens: a cell knows the name of its column."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .markup import Child, Html, el, join, shown


def figure_table(heads: Sequence[str], rows: Sequence[Sequence[Child]], *, marked: Collection[int] = ()) -> Html:
    """A table whose first column has names; the others have figures, aligned to the right.

    Args:
        heads: of the columns; rows: as many cells each, None where there is nothing to say.
        marked: numbers of columns that stand out.
    """
    classes = ["first", *("marked" if number in marked else None for number in range(1, len(heads)))]
    head = [el("th", name, class_=class_, scope="col") for name, class_ in zip(heads, classes, strict=True)]
    return el(
        "table",
        el("thead", el("tr", head)),
        el("tbody", [el("tr", _cells(heads, classes, row)) for row in rows]),
        class_="figures",
    )


def _cells(heads: Sequence[str], classes: Sequence[str | None], row: Sequence[Child]) -> list[Html]:
    cells = zip(heads, classes, row, strict=True)
    return [
        el("td", cell, class_="nothing" if cell is None else class_, data_label=name if number else None)
        for number, (name, class_, cell) in enumerate(cells)
    ]


def named(label: str, codecs: str) -> Html:
    """Features in a cell: whose, and in which codecs. Both are anyone's text."""
    return join(el("bdi", shown(label)), " ", el("span", shown(codecs), class_="codec"))
