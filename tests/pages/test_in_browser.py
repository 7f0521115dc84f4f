"""The contact sheet in a real browser: it loads nothing, complains of nothing, and shows every picture."""

from __future__ import annotations

import pytest

SCREENS = [(1280, False), (1280, True), (400, False), (400, True)]


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_a_hostile_dataset(browser, hostile_page, names, width, dark):
    browser.open(hostile_page.as_uri(), width=width, dark=dark)
    pictures = browser.ask("[...document.images].map(i => i.complete ? i.naturalWidth : -1)")
    assert len(pictures) == 6 * len(names) and min(pictures) > 0 and max(pictures) <= 96
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [hostile_page.as_uri()]
    assert browser.ask("document.title") == "d@1 · contact sheet"
    assert browser.ask("document.scripts.length") == 0
    titles = browser.ask("[...document.querySelectorAll('h2 bdi')].map(e => e.textContent)")
    assert set(names[:5]) <= set(titles)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(21, 21, 19)") == dark, paper


def test_links_lead_to_the_labels(browser, hostile_page):
    browser.open(hostile_page.as_uri(), width=1280)
    dangling = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.getAttribute('href'))).length"
    assert browser.ask("document.querySelectorAll('a').length") > 10
    assert browser.ask(dangling) == 0


def test_the_browser_would_notice(browser, hostile_page, tmp_path):
    """A page that does load something, runs something and breaks a picture is told from ours."""
    text = hostile_page.read_text(encoding="utf-8")
    planted = (
        "<img src='http://127.0.0.1:9/x.png'><script>document.title = 'taken'</script><img src='data:image/png,x'>"
    )
    (tmp_path / "guarded.html").write_text(text.replace("</main>", planted + "</main>"), encoding="utf-8")
    browser.open((tmp_path / "guarded.html").as_uri(), width=1280)
    assert len(browser.complaints) >= 2  # the policy refused the picture and the script
    assert browser.ask("document.title") == "d@1 · contact sheet"
    assert 0 in browser.ask("[...document.images].map(i => i.naturalWidth)")
    open_text = text.replace("Content-Security-Policy", "x").replace("</main>", planted + "</main>")
    (tmp_path / "open.html").write_text(open_text, encoding="utf-8")
    browser.open((tmp_path / "open.html").as_uri(), width=1280)
    assert "http://127.0.0.1:9/x.png" in browser.requests
    assert browser.ask("document.title") == "taken"
