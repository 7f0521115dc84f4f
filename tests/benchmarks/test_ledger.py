"""A benchmark that was stopped goes on behind the last unit that it measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import environment
from benchmarks.paper import ledger
from benchmarks.paper.ledger import Ledger
from benchmarks.paper.scale import QUICK, settings_of


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "RESULTS", tmp_path)
    monkeypatch.setattr(ledger, "RESULTS", tmp_path)
    return tmp_path / "paper_some.json"


def stopped() -> dict[str, int]:
    raise KeyboardInterrupt


def test_it_goes_on_where_it_stopped(results):
    first = Ledger("some", {"rounds": 2}, fresh=False)
    first.measure("a", lambda: {"figure": 1})
    with pytest.raises(KeyboardInterrupt):
        first.measure("b", stopped)
    second = Ledger("some", {"rounds": 2}, fresh=False)
    assert second.has("a")
    assert not second.has("b")
    second.measure("a", stopped)  # is not run
    second.measure("b", lambda: {"figure": 2})
    units = json.loads(results.read_text())["units"]
    assert {name: unit["figure"] for name, unit in units.items()} == {"a": 1, "b": 2}


@pytest.mark.parametrize(("settings", "fresh"), [({"rounds": 3}, False), ({"rounds": 2}, True)])
def test_other_settings_measure_anew(results, settings, fresh):
    Ledger("some", {"rounds": 2}, fresh=False).measure("a", lambda: {"figure": 1})
    assert not Ledger("some", settings, fresh=fresh).has("a")


def test_settings_are_those_that_a_file_gives_back(results):
    settings = settings_of(QUICK, ["rounds", "tenants"])
    Ledger("some", settings, fresh=False).measure("a", dict)
    assert json.loads(results.read_text())["settings"] == settings
    assert Ledger("some", settings, fresh=False).has("a")
