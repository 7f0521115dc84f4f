"""The report in a real browser: it loads nothing, complains of nothing, and fits on its screen."""

from __future__ import annotations

import pytest

SCREENS = [(1400, False), (1400, True), (720, False), (360, False), (360, True)]
# What sticks out at the right; drawings cut off what is outside of them.
WIDER = """[...document.querySelectorAll('main *')].filter(e => !e.closest('svg') || e.tagName == 'svg').filter(
    e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
    .map(e => e.outerHTML.slice(0, 80))"""
SHOWN = """[...document.querySelectorAll('svg.link')].filter(s => s.getBoundingClientRect().width)
    .map(s => s.className.baseVal)"""
CUT_OFF = """[...document.querySelectorAll('svg.link')].filter(s => s.getBoundingClientRect().width).flatMap(s =>
    [...s.querySelectorAll('text')].filter(t => t.getBoundingClientRect().right > s.getBoundingClientRect().right + 0.5)
    .map(t => t.textContent))"""


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_a_hostile_report(browser, report_page, width, dark):
    browser.open(report_page.as_uri(), width=width, dark=dark)
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [report_page.as_uri()]
    assert browser.ask("document.title") == "d@1 · report"
    assert browser.ask("document.scripts.length") == 0
    assert browser.ask(WIDER) == []
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(SHOWN) == ["link wide" if width > 800 else "link narrow"]
    assert browser.ask(CUT_OFF) == []
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(21, 21, 19)") == dark, paper


def test_columns_are_named_on_narrow_screens(browser, report_page):
    browser.open(report_page.as_uri(), width=360)
    cells = "[...document.querySelectorAll('table.figures td:not(.first):not(.nothing)')]"
    found = browser.ask(f"{cells}.map(e => getComputedStyle(e, '::before').content)")
    assert '"an epoch"' in found and "none" not in found
