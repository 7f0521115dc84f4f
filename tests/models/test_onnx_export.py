"""A prefix as ONNX: any number of images, the same features, and the same bytes wherever it was made."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hapistore.errors import UsageError
from hapistore.models import onnx_program, trace

sys.path.insert(0, str(Path(__file__).parent))
import cut_nets

HERE = Path(__file__).parent
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DIGESTED = {"resnet18": 5, "exported_branches": 3}
DIGESTS = """
import sys; sys.path[:0] = {folders}
import hashlib, conftest, cut_nets
from hapistore.models import onnx_program, trace
for name, place in {places}.items():
    side = cut_nets.NETS[name][1]
    net = trace(cut_nets.build(name), (side, side))
    net.model.requires_grad_(False)
    program = onnx_program(net.cut(net.cuts[place].index)[0], (side, side))
    print(name, hashlib.sha256(program).hexdigest())
"""


def prefix_of(name: str, place: int):
    side = cut_nets.NETS[name][1]
    net = trace(cut_nets.build(name), (side, side))
    net.model.requires_grad_(False)
    return net.cut(net.cuts[place].index)[0], (side, side)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("resnet18", 12), ("vit_b_16", 12), ("convnext", 12), ("efficientnet_lite0", 12), ("dinov2", 12),
        ("branches", 8), ("shortcut", 3), ("exported_branches", 3),
    ],
)  # fmt: skip
def test_an_onnx_program_computes_the_features_of_any_number_of_images(name, place):
    prefix, image_px = prefix_of(name, place)
    data = onnx_program(prefix, image_px)
    onnx.checker.check_model(data, full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        images = torch.randn(count, 3, *image_px)
        (found,) = session.run(["features"], {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), prefix(images), rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def digests(environment, tmp_path_factory):
    """By name, as another process finds them, with the networks' code elsewhere."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for file in ("cut_nets.py", "own_nets.py"):
        shutil.copy(HERE / file, folder)
    program = DIGESTS.format(folders=[str(folder), str(HERE)], places=DIGESTED)
    done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines()[-len(DIGESTED) :])


@pytest.mark.parametrize("name", DIGESTED)
def test_one_prefix_has_one_digest(name, digests):
    prefix, image_px = prefix_of(name, DIGESTED[name])
    data = onnx_program(prefix, image_px)
    text = data.replace(b"\0", b" ")
    assert not any(trace_of in text for trace_of in (b"stack_trace", b".py", str(HERE).encode(), b"pkg.torch"))
    assert digests[name] == hashlib.sha256(data).hexdigest()
    with torch.no_grad():
        next(prefix.parameters()).add_(1)
    assert onnx_program(prefix, image_px) != data


def test_a_prefix_too_large_for_a_message_is_refused(monkeypatch):
    prefix, image_px = prefix_of("resnet18", 0)
    monkeypatch.setattr("hapistore.models.onnx_export._MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="an ONNX message holds 1,000"):
        onnx_program(prefix, image_px)
