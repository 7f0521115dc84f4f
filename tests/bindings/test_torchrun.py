"""Ranks under torchrun train to the weights of one rank with the same global batch, stopped and gone on with too."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

import hapistore as hs
from hapistore.demo.photographs import write_manifest

# The demo's head. Each rank's BatchNorm would see its slice only, so statistics are taken before.
_TRAIN = """
import json, os, pickle, sys
import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from hapistore_torch import FeaturePipe

options = json.loads(sys.argv[2])
view = pickle.load(open(sys.argv[1], "rb"))  # written by the test itself
dist.init_process_group("gloo")
torch.manual_seed(3)
pipe = FeaturePipe(view, shuffle="global", seed=5, last="drop", **options["pipe"])
width = view.shape[0]
norm, linear = nn.BatchNorm1d(width, affine=False), nn.Linear(width, len(pipe.classes))
whole = torch.cat([features for features, _ in FeaturePipe(view, shuffle="none", global_batch_size=1 << 20)])
count = torch.tensor([float(len(whole))])
sums = torch.stack([whole.sum(0), (whole ** 2).sum(0)])
dist.all_reduce(count)
dist.all_reduce(sums)
norm.running_mean, norm.running_var = sums[0] / count, sums[1] / count - (sums[0] / count) ** 2
norm.eval()
head = nn.parallel.DistributedDataParallel(linear)
optimiser = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=1e-2)
if os.path.exists(options["checkpoint"]):
    saved = torch.load(options["checkpoint"], weights_only=True)
    linear.load_state_dict(saved["head"])
    optimiser.load_state_dict(saved["optimiser"])
    pipe.load_state_dict(saved["pipe"])
steps = 0
while pipe.state_dict()["epoch"] < 3 or pipe.state_dict()["position"] == 0:
    for features, labels in pipe:
        loss = nn.functional.cross_entropy(head(norm(features)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
        if steps == options["stop_after"]:
            break
    if steps == options["stop_after"] or pipe.state_dict()["epoch"] == 3:
        break
if dist.get_rank() == 0:
    saved = {"head": linear.state_dict(), "optimiser": optimiser.state_dict(), "pipe": pipe.state_dict()}
    torch.save(saved, options["checkpoint"])
    np.savez(options["out"], **{name: value.numpy() for name, value in linear.state_dict().items()})
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def photographs_view(tmp_path_factory):
    """What the demo trains on, of a tenth of its photographs."""
    folder = tmp_path_factory.mktemp("elpv")
    write_manifest(folder / "elpv.csv", seed=0, limit=260)
    store = hs.open_store(folder / "store")
    hs.ingest(store, "elpv", hs.manifest(folder / "elpv.csv"))
    hs.extract(store, "elpv", hs.load_backbone("efficientnet_lite0").prefix("pool"), codecs=["u8c+zstd"])
    return hs.open_view(store, "elpv")


@pytest.fixture
def train(tmp_path, environment):
    (tmp_path / "train.py").write_text(_TRAIN)

    def run(view, ranks, name, stop_after=0, **pipe):
        (tmp_path / "view").write_bytes(pickle.dumps(view))
        options = {
            "pipe": pipe, "stop_after": stop_after, "checkpoint": str(tmp_path / f"{name}.pt"),
            "out": str(tmp_path / f"{name}.npz"),
        }  # fmt: skip
        done = subprocess.run(
            [
                sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}",
                str(tmp_path / "train.py"), str(tmp_path / "view"), json.dumps(options),
            ],
            env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / f"{name}.npz") as found:
            return dict(found)

    return run


def test_the_weights_are_those_of_one_rank(train, photographs_view):
    alone = train(photographs_view, 1, "alone", subset="train", batch_size=32)
    two = train(photographs_view, 2, "two", subset="train", batch_size=16)
    assert np.abs(alone["weight"]).max() > 0.05  # it has learned
    for name, values in alone.items():
        assert np.allclose(two[name], values, atol=2e-5), name


def test_stopped_on_two_ranks_and_gone_on_with_one(train, view):
    alone = train(view, 1, "alone", global_batch_size=20)
    train(view, 2, "stopped", stop_after=8, global_batch_size=20)
    for name, values in train(view, 1, "stopped", global_batch_size=20).items():
        assert np.allclose(values, alone[name], atol=2e-5), name
