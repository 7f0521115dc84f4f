"""Ctrl-C while ingesting: status 130, one line, and a store that is whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time


def test_ctrl_c(environment, answer, succeed, write_source, tmp_path):
    source, store = write_source(tmp_path / "source", 600, side=40), tmp_path / "store"
    arguments = ["ingest", "pets", str(source), "--store", str(store), "--shard-size", "8KiB"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hapistore", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list((store / "images").glob("*.arrow")) if (store / "images").is_dir() else []) < 3:
        assert process.poll() is None, "it was over before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert errors == "interrupted; what was stored stays, the next run does only what is missing\n"
    assert not (store / "datasets").exists()
    left = {path.name for path in (store / "images").iterdir()}
    assert answer("verify", "--store", store)["damaged"] == []
    found = answer(*arguments)
    assert found["images"] == 600 and found["committed"]
    assert found["shards_present"] == len(left)
    assert "all sound" in succeed("verify", "--store", store).stdout
