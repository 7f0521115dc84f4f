"""Several ranks share an epoch: by torchrun's environment, and by torch.distributed under DataLoader."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader

from hapistore_torch import FeaturePipe

ROWS = 103


def rows_of(batches):
    return [int(row) for features, _ in batches for row in features[:, 0]]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_from_the_environment_read_each_row_once(view, monkeypatch, ranks, workers):
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    seen, steps = [], []
    for rank in range(ranks):
        monkeypatch.setenv("RANK", str(rank))
        torch.manual_seed(1)  # as DataLoader shares its seed where torch.distributed runs
        pipe = FeaturePipe(view, batch_size=8)
        batches = list(DataLoader(pipe, batch_size=None, num_workers=workers))
        assert len(batches) == len(pipe)
        seen += rows_of(batches)
        steps.append(len(batches))
    assert sorted(seen) == list(range(ROWS))
    assert max(steps) - min(steps) <= 1


_RANK = """
import pickle, sys
import torch.distributed as dist
from torch.utils.data import DataLoader
from hapistore_torch import FeaturePipe

if __name__ == "__main__":
    dist.init_process_group("gloo")
    view = pickle.load(open(sys.argv[1], "rb"))  # written by the test itself
    # Spawning takes seconds, and a second epoch spawns anew.
    for workers, context, epochs in ((0, None, 2), (2, "fork", 2), (2, "spawn", 1)):
        pipe = FeaturePipe(view, batch_size=8)
        for _ in range(epochs):
            loader = DataLoader(pipe, batch_size=None, num_workers=workers, multiprocessing_context=context)
            rows = [int(row) for features, _ in loader for row in features[:, 0]]
            everyone = [None] * dist.get_world_size()
            dist.all_gather_object(everyone, rows)
            assert sorted(sum(everyone, [])) == list(range(103)), (workers, context, everyone)
    dist.destroy_process_group()
    print("rank done")
"""


def test_two_processes_under_torch_distributed_read_each_row_once(view, tmp_path):
    (tmp_path / "rank.py").write_text(_RANK)
    (tmp_path / "view").write_bytes(pickle.dumps(view))
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": "2",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, tmp_path / "rank.py", tmp_path / "view"],
            env={**environment, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        assert "rank done" in output


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
