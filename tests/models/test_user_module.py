"""A user's own module: untouched, and known by what it computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hapistore.errors import UsageError
from hapistore.models import backbone_from_module

sys.path.insert(0, str(Path(__file__).parent))
from user_nets import PREPROCESS, Net, ReadsData


def digest(**options) -> str:
    return backbone_from_module(Net(**options), name="net", preprocess=PREPROCESS).program


def test_the_single_cut_computes_what_the_module_computes(pixels_for):
    net = Net().eval()
    backbone = backbone_from_module(net, name="net", preprocess=PREPROCESS)
    prefix = backbone.prefix()
    assert (list(backbone.cuts), prefix.feature_shape) == (["output"], (25, 4))
    assert prefix.program == backbone.program and len(backbone.program) == 64
    pixels = pixels_for(3, prefix)
    with torch.inference_mode():
        expected = net((pixels.permute(0, 3, 1, 2).float() - 127.5) / 127.5)
        torch.testing.assert_close(prefix.module(pixels), expected)


def test_the_module_is_left_untouched_and_later_training_changes_nothing():
    net = Net().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    backbone = backbone_from_module(net, name="net", preprocess=PREPROCESS)
    backbone.prefix()
    assert net.training and net.conv.weight.requires_grad and net.drop.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    with torch.no_grad():
        net.conv.weight.zero_()
    assert torch.equal(backbone.prefix().weights()["conv.weight"], before["conv.weight"])


def test_the_digest_is_that_of_the_code():
    same = digest()
    assert digest() == same
    assert digest(seed=9) == same, "weights are hashed apart"
    others = [digest(scale=3.0), digest(table=1.5), digest(relu=False)]
    assert len({same, *others}) == 4


def test_the_digest_is_the_same_in_every_process():
    code = (
        "from user_nets import Net, PREPROCESS\n"
        "from hapistore.models import backbone_from_module\n"
        "print(backbone_from_module(Net(), name='net', preprocess=PREPROCESS).program)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == digest()


def test_a_module_that_cannot_be_exported_needs_a_text():
    with pytest.raises(UsageError, match=r"torch.export cannot take net .*give program='TEXT'"):
        backbone_from_module(ReadsData(), name="net", preprocess=PREPROCESS)
    first = backbone_from_module(ReadsData(), name="net", preprocess=PREPROCESS, program="net 1")
    second = backbone_from_module(ReadsData(), name="net", preprocess=PREPROCESS, program="net 2")
    assert first.program != second.program
    assert first.prefix().feature_shape == (3, 32, 32)


def test_a_name_is_needed():
    with pytest.raises(UsageError, match="expected the architecture's name"):
        backbone_from_module(Net(), name="", preprocess=PREPROCESS)
