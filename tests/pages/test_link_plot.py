"""The drawing of seconds by the link's rate: where its lines lie, and that its labels have room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hapistore.pages.link_plot import FRAMES, Line, link_plot, spread

RATES = (6.25e6, 1.25e9)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_spread_moves_apart_and_keeps_the_order(places):
    moved = spread(places, 5, 0, 100)
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in moved)
    ordered = sorted(range(len(places)), key=lambda number: places[number])
    for first, second in zip(ordered, ordered[1:], strict=False):
        assert moved[second] - moved[first] >= 5 - 1e-6


def test_spread_leaves_what_has_room():
    assert spread([30, 10, 80], 5, 0, 100) == [30, 10, 80]


@pytest.fixture
def drawn(parse):
    def draw(lines, links=(), frame=FRAMES[0]):
        return parse(link_plot(lines, links, RATES, frame))

    return draw


def test_lines_are_straight_through_the_links(drawn):
    lines = [Line(label="images", bytes=10**9, kind="images"), Line(label="f", bytes=10**7, kind="features")]
    page = drawn(lines, (25e6, 125e6))
    series = [a for a in page.all("line") if a.get("class", "").startswith("series")]
    dots = page.all("circle")
    assert len(series) == 2 and len(dots) == 4
    for line in series:
        x1, y1, x2, y2 = (float(line[key]) for key in ("x1", "y1", "x2", "y2"))
        kind = line["class"].split()[1]
        for dot in (dot for dot in dots if dot["class"] == kind):
            share = (float(dot["cx"]) - x1) / (x2 - x1)
            assert float(dot["cy"]) == pytest.approx(y1 + share * (y2 - y1), abs=0.2)
    # Both axes have decades: a hundred times the bytes lie as far above as a link of a hundredth.
    tall = float(series[1]["y1"]) - float(series[0]["y1"])
    fall = (float(series[0]["y2"]) - float(series[0]["y1"])) / 2.30103
    assert tall == pytest.approx(2 * fall, rel=0.01)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_labels_have_room_and_names_stay_whole_in_titles(drawn, frame):
    lines = [Line(label=f"{'long ' * 20}{n}", bytes=1000 + n, kind="features", estimated=n > 7) for n in range(16)]
    lines.append(Line(label="名" * 40, bytes=1, kind="features"))
    page = drawn(lines, frame=frame)
    ys = sorted(float(a["y"]) for a in page.all("text") if a.get("class") == "features")
    assert len(ys) == 17 and min(b - a for a, b in zip(ys, ys[1:], strict=False)) >= 19.9
    _, _, width, height = map(float, page.all("svg")[0]["viewbox"].split())
    assert width == frame.width and ys[-1] < height
    assert {text for tag, text in page.texts if tag == "title"} == {line.label for line in lines}
    assert all(len(text) < 40 for tag, text in page.texts if tag == "text")
    assert sum("stroke-dasharray" in a for a in page.all("line")) == 8


def test_one_byte_and_a_petabyte(drawn):
    page = drawn([Line(label="a", bytes=1, kind="images"), Line(label="b", bytes=10**15, kind="features")])
    texts = [text for tag, text in page.texts if tag == "text"]
    assert "10 h 0 min" in texts and any("µs" in text for text in texts)
