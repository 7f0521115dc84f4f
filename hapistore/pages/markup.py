"""HTML that is escaped wherever it is not built here: keys and labels are hostile text."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable

_VOID = frozenset({"img", "link", "meta"})
_LONGEST = 160


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | None | Iterable["str | int | None"]


def el(tag: str, *children: Child, **attributes: str | int | float | None) -> Html:
    """An element. Children that are not Html are escaped, None is nothing.

    Attributes are named as in Python: ``class_`` is ``class``, and ``aria_label`` is ``aria-label``.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Children one after another."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, (str, int)):
            parts.append(html.escape(str(child)))
        else:
            parts.append(join(*child))
    return Html("".join(parts))


def shown(text: str) -> str:
    """Text of anyone's as it may be shown: what does not print as an escape, and not endlessly long."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def document(title: str, style: str, *body: Child) -> str:
    """A whole page. Its policy lets a browser load nothing but the pictures and the one style sheet inside."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", href="data:,"),
        el("title", title),
        Html(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{el('html', head, el('body', *body), lang='en')}\n"
