"""What users' files say of their runs: shown as they say, and refused in one line where they say what cannot be."""

from __future__ import annotations

import copy
import json
import re

import pytest

from hapistore.errors import UsageError
from hapistore.pages import ReportOptions, write_report
from hapistore.pages.runs import MOST_BYTES, read_run


@pytest.fixture(scope="module")
def text(report_page, parse) -> str:
    return re.sub(r"\s+", " ", parse(report_page.read_text(encoding="utf-8")).text())


@pytest.fixture
def read(tmp_path):
    """Reads a file with that text, or that JSON."""

    def run(value):
        path = tmp_path / "run.json"
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        return read_run(path, link=25e6, epochs=10).run

    return run


def test_an_extraction(text):
    assert "extract.json · d@1 · 000000000000 · <b>openvino</b> f32" in text
    assert "took4.0 simages120images/s30image shards3 extracted, 1 done beforeextraction batch32" in text
    assert "fetch500 msdecode2.2 sforward3.5 s<i>encode</i>250 msstore0 ms" in text


def test_an_extraction_that_had_nothing_to_do(read, runs, featured, tmp_path):
    idle = {**runs["extract.json"], "images": 0, "executor": "", "batch": 0, "seconds": 0.1, "stage_seconds": {}}
    read(idle)
    options = ReportOptions(runs=[tmp_path / "run.json"])
    write_report(featured, ["d"], tmp_path / "p.html", options)
    assert "No stage had anything to do." in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_an_ingest(text):
    assert "took2.0 simages120images/s60bytes1 MiBleft out2512 KiB/s" in text
    assert "It stored 4 of the version's 4 image shards." in text


def test_a_plan_has_a_bar_for_each_candidate_with_its_parts(report_page, parse):
    page = parse(report_page.read_text(encoding="utf-8"))
    widths = [
        [float(a["width"].rstrip("%")) for tag, a in page.elements if tag == "rect" and a.get("class") == stage]
        for stage in ("storage", "link", "compute")
    ]
    assert [values[:2] for values in widths] == [[0, 2.5], [66.67, 0.83], [33.33, 10]]  # of the longest, 60 s
    ticks = [a["x"] for tag, a in page.elements if tag == "rect" and a.get("class") == "tick"]
    assert ticks[:2] == ["68.33%", "11.67%"]


def test_a_profile_is_planned_for_the_first_link(text, read, runs):
    assert "profile.json · u8c+zstd, 20 epochs, training batches of 256" in text
    plan = read(runs["profile.json"])
    assert (plan.chosen, plan.link_bytes_per_s) == (2, 25e6)
    assert plan.bars[1].bytes_per_image == 500 and plan.bars[0].stage_s["link"] == pytest.approx(1000 * 30_000 / 25e6)
    assert plan.bars[1].stage_s["storage"] == pytest.approx(1000 * 0.01 / 10)


def test_a_plan_of_many_cuts_shows_some_and_the_chosen(read, runs, featured, tmp_path):
    cuts = [{**runs["plan.json"]["candidates"][0], "index": n, "name": f"cut-{n}-"} for n in range(1000)]
    read({**runs["plan.json"], "candidates": cuts, "index": 617})
    write_report(featured, ["d"], tmp_path / "p.html", ReportOptions(runs=[tmp_path / "run.json"]))
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "cut-617- ← chosen" in page and "1,000, 40 of them here" in page
    assert len(set(re.findall(r"cut-\d+-", page))) == 40


def test_a_training(text):
    assert "took7.0 sepochs3an epoch2.0 s (1.0 s–4.0 s)waiting for data20 %pulled5.86 KiB" in text
    assert "pulled in an epoch1.95 KiB" in text and "first epochhighest 4.0 slast" in text


def test_a_training_of_many_epochs_says_how_many_are_drawn(read, featured, tmp_path):
    read({"kind": "training", "dataset": "d", "epochs": [{"seconds": 0}] * 1000})
    write_report(featured, ["d"], tmp_path / "p.html", ReportOptions(runs=[tmp_path / "run.json"]))
    assert "120 of 1,000 epochs are drawn." in (tmp_path / "p.html").read_text(encoding="utf-8")


HUGE = 10**400
WRONG = {
    "none": (b"", "found no JSON"),
    "cut off": (b'{"a": ', "found no JSON"),
    "no text": (b"\xff\xfe\x00", "found no JSON"),
    "deep": (b"[" * 200_000, "found no JSON"),
    "large": (b" " * (MOST_BYTES + 1), "more than 16 MiB"),
    "a list": (b"[]", "the file: found a list of none, expected an object"),
    "of nothing": (b"{}", "found an object with the fields none; expected what `hapistore extract --json`"),
    "of something else": (b'{"jobs": [], "a\\u001b": 1}', "with the fields 'jobs', 'a\\x1b'; expected what"),
    "another kind": (b'{"kind": "running"}', "kind: found 'running', expected 'training'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_run_is_refused(read, tmp_path, case):
    data, said = WRONG[case]
    with pytest.raises(UsageError) as error:
        read(data)
    assert str(error.value).startswith(f"{tmp_path / 'run.json'}: ") and said in str(error.value)
    assert str(error.value).isprintable()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="No such file or directory; give a file that can be read"):
        read_run(tmp_path / "none.json", link=1.0, epochs=1)


FIELDS = [
    ("extract.json", ("dataset",), "../pets", "dataset: '../pets' is no dataset name"),
    ("extract.json", ("version",), 0, "version: found 0, expected a whole number from 1"),
    ("extract.json", ("images",), -1, "images: found -1, expected a whole number from 0"),
    ("extract.json", ("images",), HUGE, "images: found"),
    ("extract.json", ("images",), True, "images: found True"),
    ("extract.json", ("seconds",), float("nan"), "seconds: found nan, expected a number"),
    ("extract.json", ("recipe",), "a\nb", "recipe: found 'a\\nb', expected a text of one line"),
    ("extract.json", ("executor",), "x" * 300, "executor: found 300 characters"),
    ("extract.json", ("executor",), None, "executor: found None"),
    ("extract.json", ("stage_seconds",), [], "stage_seconds: found a list of none, expected an object"),
    ("extract.json", ("stage_seconds", "decode"), "1", "stage_seconds.'decode': found '1', expected a number"),
    (
        "extract.json",
        ("stage_seconds",),
        dict.fromkeys(map(str, range(30)), 1),
        "stage_seconds: found 30 stages, expected 20",
    ),
    ("ingest.json", ("quarantined",), 3, "quarantined: found 3, expected a list"),
    ("ingest.json", ("bytes",), 1.5, "bytes: found 1.5, expected a whole number"),
    ("plan.json", ("candidates",), [], "candidates: found a list of none, expected a list of 1 to 10000"),
    ("plan.json", ("candidates", 1, "index"), 0, "candidates[1].index: found 0 twice"),
    ("plan.json", ("candidates", 1, "link_s"), float("inf"), "candidates[1].link_s: found inf, expected a number"),
    ("plan.json", ("candidates", 0), "x", "candidates[0]: found 'x', expected an object"),
    ("plan.json", ("index",), 1, "index: found 1, expected the index of a candidate"),
    ("plan.json", ("link_bytes_per_s",), 0, "link_bytes_per_s: found 0, expected a rate above it"),
    ("profile.json", ("images",), 0, "images: found 0, expected a whole number from 1"),
    ("profile.json", ("cuts", 1, "codecs"), 1, "cuts[1].codecs: found 1, expected an object"),
    ("training.json", ("dataset",), "D", "dataset: 'D' is no dataset name"),
    ("training.json", ("epochs",), [], "epochs: found a list of none, expected a list of 1 to 100000"),
    ("training.json", ("epochs", 0), 4.0, "epochs[0]: found 4.0, expected an object"),
    ("training.json", ("epochs", 0, "seconds"), "4", "epochs[0].seconds: found '4', expected a number"),
    ("training.json", ("epochs", 0, "wait_seconds"), 9.0, "epochs[0].wait_seconds: found 9, expected at most its 4"),
    ("training.json", ("epochs", 1, "bytes"), -5, "epochs[1].bytes: found -5"),
]


@pytest.mark.parametrize(("name", "way", "value", "said"), FIELDS)
def test_a_wrong_field_is_refused_by_name(read, runs, name, way, value, said):
    run = copy.deepcopy(runs[name])
    inside = run
    for key in way[:-1]:
        inside = inside[key]
    inside[way[-1]] = value
    with pytest.raises(UsageError) as error:
        read(run)
    assert f"run.json: {said}" in str(error.value) and str(error.value).isprintable()


NEEDED = {
    "extract.json": ("images", "shards_present", "seconds", "dataset"),
    "ingest.json": ("bytes", "quarantined"),
    "plan.json": ("index", "link_bytes_per_s"),
    "training.json": ("epochs", "dataset"),
}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in NEEDED.items() for key in keys])
def test_a_missing_field_is_named(read, runs, name, key):
    with pytest.raises(UsageError, match=f"run.json: {key}: missing; add it"):
        read({field: value for field, value in runs[name].items() if field != key})
