"""What the command says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from hapistore import __version__
from hapistore.cli.main import VERBS

# verbs with verbs of their own
GROUPS = {
    "quarantine": ("ls", "export", "retry"),
    "cache": ("ls", "stats", "pin", "unpin", "evict", "clear", "check", "warm"),
}
COMMANDS = [*VERBS, *(f"{group} {verb}" for group, verbs in GROUPS.items() for verb in verbs)]


@pytest.fixture(scope="module", params=[None, "200"], ids=["pipe", "wide terminal"])
def helps(request, environment, tmp_path_factory):
    """Help of the command (``""``) and of every verb."""
    wide = {} if request.param is None else {"COLUMNS": request.param}

    def ask(verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hapistore", *verb.split(), "--help"],
            env={**environment, **wide},
            cwd=folder,
            capture_output=True,
            text=True,
        )

    folder = tmp_path_factory.mktemp("help")
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(["", *COMMANDS], pool.map(ask, ["", *COMMANDS]), strict=True))


@pytest.mark.parametrize("verb", ["", *COMMANDS])
def test_help(helps, verb):
    finished = helps[verb]
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("Usage:") and lines[0].split()[4:].index("[OPTIONS]") == len(verb.split())
    assert lines[0].split()[4 : 4 + len(verb.split())] == verb.split()
    example = next(number for number, line in enumerate(lines) if re.fullmatch(r"  Examples?:", line))
    assert lines[example + 1].startswith(f"    hapistore {verb}")
    assert [line for line in lines if len(line) > 110] == []


@pytest.mark.parametrize("verb", [command for command in COMMANDS if command not in GROUPS])
def test_every_verb_takes_store_and_json(helps, verb):
    options = helps[verb].stdout.partition("Options:")[2]
    if verb.startswith("cache "):
        assert re.search(r"^  --cache PATH .*HAPISTORE_CACHE", options, re.DOTALL | re.MULTILINE)
    elif verb not in ("cp", "plan", "audit", "token"):  # which take two stores, and none
        assert re.search(r"^  --store URL .*HAPISTORE_STORE", options, re.DOTALL | re.MULTILINE)
    assert re.search(r"^  --json ", options, re.MULTILINE)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_is_listed(helps, verb):
    group, _, name = verb.rpartition(" ")
    assert re.search(rf"^  {name}  +[A-Z].*\.$", helps[group].stdout, re.MULTILINE)


def test_the_examples_use_options_that_exist(helps):
    for verb in set(COMMANDS) - set(GROUPS):
        text, _, options = helps[verb].stdout.partition("Options:")
        used = set(re.findall(r"(--[a-z-]+)", "".join(re.findall(r"^    hapistore .*$", text, re.MULTILINE))))
        assert {option for option in used if f"  {option} " not in options} == set(), verb


def test_version_and_unknown_verbs(run_all, tmp_path):
    found = run_all({"version": ["--version"], "unknown": ["ingets", "x"], "nothing": []}, cwd=tmp_path)
    assert found["version"].returncode == 0
    assert found["version"].stdout == f"hapistore, version {__version__}\n"
    assert found["unknown"].returncode == 2 and found["unknown"].stdout == ""
    assert "No such command 'ingets'" in found["unknown"].stderr
    assert found["nothing"].returncode == 2 and "Usage:" in found["nothing"].stderr + found["nothing"].stdout
