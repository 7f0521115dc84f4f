"""Documents show what was measured: tables and plots are those that the results make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.plots.__main__ import FOLDER, PLOTS
from benchmarks.tables.__main__ import DOCUMENTS, fill

ROOT = Path(__file__).parents[2]
_PICTURE = re.compile(r"!\[[^\]]*\]\((?:\.\./)?(?:docs/)?plots/([\w.]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_tables_are_those_of_the_results(document):
    text = (ROOT / document).read_text()
    assert fill(text) == text, f"run `make docs`: {document} is not what the results say"


def test_every_plot_is_drawn_in_both_formats_and_the_same_each_time(tmp_path):
    for folder in ("once", "again"):
        for draw in PLOTS:
            draw(tmp_path / folder)
    once = {path.name: path.read_bytes() for path in (tmp_path / "once").iterdir()}
    assert once == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert {path.suffix for path in (tmp_path / "once").iterdir()} == {".png", ".svg"}
    assert once.keys() == {path.name for path in FOLDER.iterdir()}


def test_documents_show_plots_that_are_there():
    shown = {name for document in DOCUMENTS for name in _PICTURE.findall((ROOT / document).read_text())}
    assert shown <= {path.name for path in FOLDER.iterdir()}
    assert {Path(name).stem for name in shown} == {path.stem for path in FOLDER.iterdir()}
