"""``hapistore extract --jobs``: the file is checked as a whole, all jobs run in one worker, Ctrl-C ends cleanly."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest

JOB = '{"dataset": "things", "backbone": "efficientnet_lite0"'


@pytest.fixture(scope="module")
def store(succeed, imagenet, write_manifest, tmp_path_factory):
    """Eight JPEGs in several shards."""
    folder = tmp_path_factory.mktemp("things")
    write_manifest(folder / "things.csv", imagenet[:8])
    succeed("ingest", "things", folder / "things.csv", "--shard-size", "100KB", "--store", folder / "store")
    return folder / "store"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "jobs.jsonl",
            f'{JOB}}}\n\n{JOB}, "codec": "u9c"}}',
            r"jobs.jsonl, line 3, field codec: found 'u9c'.*none of f32",
        ),
        (
            "jobs.jsonl",
            f'{JOB}, "max_batch": 8}}',
            r"line 1, field max_batch: there is no such field; did you mean max-batch",
        ),
        ("jobs.jsonl", f'{JOB}, "max-batch": 0}}', r"line 1, field max-batch: found 0, expected a whole number of 1"),
        ("jobs.jsonl", f'{JOB}, "weight": -1}}', r"line 1, field weight: found -1, expected a number"),
        ("jobs.jsonl", f'{JOB}, "retry-bad": "yes"}}', r"line 1, field retry-bad: found 'yes', expected true or false"),
        (
            "jobs.jsonl",
            f'{JOB}, "cut": "pool", "cut": "map"}}',
            r"line 1: it is no JSON object: field cut is there twice",
        ),
        ("jobs.jsonl", '{"dataset": "things"}', r"line 1, field backbone: it is absent"),
        ("jobs.jsonl", "[1]", r"line 1: found \[1\], expected an object"),
        ("jobs.jsonl", "\n", r"jobs.jsonl has no jobs"),
        (
            "jobs.jsonl",
            f'{JOB}}}\n{JOB}, "dataset ": "x"}}',
            r"line 2, field dataset : there is no such field; did you mean",
        ),
        (
            "jobs.jsonl",
            f"{JOB}}}\n" + JOB.replace("things", "thing") + "}",
            r"line 2, field dataset: .*did you mean things",
        ),
        (
            "jobs.toml",
            '[[job]]\ndataset = "things"\nbackbone = "efficientnet_lite0"\n\n[[job]]\n# a comment\ndataset = "things"\n'
            'backbone = "efficientnet_lite0"\nexecutor = "abacus"\n',
            r"jobs.toml, line 9, field executor: found 'abacus', expected one of auto, torch",
        ),
        ("jobs.toml", '[[job]]\ndataset = "things', r"jobs.toml: it is no TOML: "),
        ("jobs.toml", '[job]\ndataset = "things"', r"expected nothing but \[\[job\]\] tables"),
    ],
)
def test_a_file_with_an_error_runs_nothing(hapistore, store, tmp_path, files_below, name, text, message):
    if name.endswith(".toml") and sys.version_info < (3, 11):
        pytest.skip("TOML takes Python 3.11")
    before = files_below(store)
    path = tmp_path / name
    path.write_text(text)
    finished = hapistore("extract", "--jobs", path, "--store", store)
    assert (finished.returncode, finished.stdout) == (2, ""), finished.stderr
    (line,) = finished.stderr.splitlines()
    assert re.search(message, line), line
    assert files_below(store) == before


def test_flags_of_a_job_beside_the_file_are_refused(hapistore, store, tmp_path):
    path = tmp_path / "jobs.jsonl"
    path.write_text(f"{JOB}}}\n")
    for more in (["things"], ["--backbone", "efficientnet_lite0"], ["--no-child"]):
        finished = hapistore("extract", *more, "--jobs", path, "--store", store)
        assert finished.returncode == 2 and "beside --jobs" in finished.stderr
    finished = hapistore("extract", "--store", store)
    assert finished.returncode == 2 and "--jobs with a file of many" in finished.stderr


def test_jobs_run_and_then_only_what_is_missing(hapistore, store, tmp_path):
    path = tmp_path / "jobs.jsonl"
    path.write_text(
        f'{JOB}, "codec": "f32", "executor": "torch", "tenant": "a", "name": "first"}}\n'
        f'{JOB}, "codec": "u8c", "executor": "torch", "weights": "random", "tenant": "b", "weight": 2}}\n'
    )
    arguments = ("extract", "--jobs", path, "--store", store, "--memory", "8GiB")
    finished = hapistore(*arguments, "--json")
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert [(job["name"], job["state"], job["images"], job["done"]) for job in report["jobs"]] == [
        ("first", "done", 8, 8),
        ("things:efficientnet_lite0", "done", 8, 8),
    ]
    for job in report["jobs"]:
        assert job["images_per_s"] > 0 and job["executor"] == "torch f32"
        assert all(size >= 1 for _, size in job["batches"]) and job["batches"]
        assert 0 < job["peak_bytes"] <= report["budget_bytes"] == 8 << 30
        assert job["deferred_s"] >= 0
    assert 0 < report["planned_bytes"] <= report["budget_bytes"]
    assert "first: done, 8 of 8 images" in finished.stderr

    again = hapistore(*arguments)
    assert again.returncode == 0, again.stderr
    assert re.search(r"first +a +done +8/8", again.stdout)
    assert "2 of 2 jobs done" in again.stdout and "images decoded: 0" in again.stdout

    path.write_text(f'{JOB}, "executor": "torch", "precision": "bf16"}}\n')
    refused = hapistore("extract", "--jobs", path, "--store", store, "--memory", "100MiB")
    assert refused.returncode == 1
    assert re.search(r"things:efficientnet_lite0: refused: .*give --memory of at least", refused.stderr)


def test_ctrl_c(environment, store, tmp_path, succeed):
    path = tmp_path / "jobs.jsonl"
    path.write_text(f'{JOB}, "executor": "torch", "cut": "map", "codec": "f32", "max-batch": 1}}\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "hapistore", "extract", "--jobs", str(path), "--store", str(store)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not _children(process.pid):  # its executor's
        assert process.poll() is None, "it was over before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    children = _children(process.pid)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=240)
    assert (process.returncode, output) == (130, "")
    assert errors.endswith("interrupted; what was stored stays, the next run does only what is missing\n")
    assert "Traceback" not in errors
    assert not any(_runs(child) for child in children)
    assert "all sound" in succeed("verify", "--store", store).stdout


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _runs(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.strip().startswith("Z")
