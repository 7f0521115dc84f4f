"""``hapistore extract --share``: processes that extract at once, one of them killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

COMMAND = ("extract", "things", "--backbone", "efficientnet_lite0", "--executor", "torch")


def test_what_a_killed_process_leaves_another_makes(environment, answer, succeed, imagenet, write_manifest, tmp_path):
    store = tmp_path / "store"
    write_manifest(tmp_path / "things.csv", imagenet)
    succeed("ingest", "things", tmp_path / "things.csv", "--shard-size", "60KB", "--store", store)
    shards = len(list((store / "images").iterdir()))
    assert shards >= 6
    arguments = [*COMMAND, "--share", "2/2", "--max-batch", "1", "--store", str(store)]
    process = subprocess.Popen([sys.executable, "-m", "hapistore", *arguments], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(store.glob("features/*/*/*")):
        assert process.poll() is None, "it was over before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    rest = answer(*COMMAND, "--share", "1/2", "--store", store)
    assert rest["shards_present"] >= 1
    assert rest["shards_extracted"] + rest["shards_present"] == shards
    assert 0 < rest["images"] < len(imagenet)
    assert answer("verify", "--store", store)["damaged"] == []
    assert answer(*COMMAND, "--share", "2/2", "--store", store)["images"] == 0
