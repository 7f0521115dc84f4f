"""Names, choices of weights, and what is refused."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from hapistore.errors import UsageError
from hapistore.models import backbone_names, load_backbone

RESNET = "torchvision/resnet18"


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return set(left) == set(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_importing_the_room_imports_no_family():
    code = (
        "import sys, hapistore.models\n"
        "print([m for m in ('torchvision', 'timm', 'transformers', 'efficientnet_lite_pytorch') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "[]"


def test_names():
    assert backbone_names()[0] == "efficientnet_lite0"
    assert "torchvision/<name>" in backbone_names()


@pytest.mark.parametrize("name", ["efficientnet_lite0", RESNET, "timm/resnet10t"])
def test_random_weights_are_reproducible_and_leave_the_random_state_alone(name):
    pytest.importorskip(name.partition("/")[0] if "/" in name else "efficientnet_lite_pytorch")
    torch.manual_seed(11)
    state = torch.get_rng_state()
    first = load_backbone(name, weights="random")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(12)
    second = load_backbone(name, weights="random")
    assert same(first.prefix().weights(), second.prefix().weights())
    assert first.weights_name == "random weights (seed 0)"
    assert first.architecture == name


class TestWeightsFile:
    def write(self, tmp_path, change=lambda tensors: None):
        torch.manual_seed(5)
        network = pytest.importorskip("torchvision").models.resnet18(weights=None)
        tensors = {key: tensor for key, tensor in network.state_dict().items() if "num_batches" not in key}
        change(tensors)
        path = tmp_path / "mine.safetensors"
        save_file(tensors, path)
        return path, tensors

    def test_is_loaded(self, tmp_path):
        path, tensors = self.write(tmp_path)
        backbone = load_backbone(RESNET, weights=str(path))
        assert backbone.weights_name == "weights from mine.safetensors"
        assert same(backbone.prefix("logits").weights(), tensors)

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (lambda tensors: tensors.pop("fc.bias"), r"1 missing \(fc.bias\)"),
            (lambda tensors: tensors.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
            (
                lambda tensors: tensors.update({"fc.bias": torch.zeros(7)}),
                r"1 of another shape \(fc.bias \(7,\) for \(1000,\)\)",
            ),
        ],
    )
    def test_that_does_not_fit_is_refused(self, tmp_path, change, complaint):
        path, _ = self.write(tmp_path, change)
        with pytest.raises(UsageError, match=rf"mine.safetensors does not fit {RESNET}.*{complaint}"):
            load_backbone(RESNET, weights=str(path))

    def test_that_is_no_safetensors_is_refused(self, tmp_path):
        path = tmp_path / "fake.safetensors"
        path.write_bytes(pickle.dumps({"a": 1}))
        with pytest.raises(UsageError, match="cannot be read as safetensors"):
            load_backbone(RESNET, weights=str(path))

    def test_of_a_network_that_reads_its_format_version(self, tmp_path):
        network = pytest.importorskip("torchvision").models.mnasnet0_5(weights=None)
        save_file(network.state_dict(), tmp_path / "mnas.safetensors")
        backbone = load_backbone("torchvision/mnasnet0_5", weights=str(tmp_path / "mnas.safetensors"))
        assert torch.equal(backbone.prefix().weights()["layers.0.weight"], network.layers[0].weight)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pkl"])
def test_pickles_are_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"")
    with pytest.raises(UsageError, match=r"is a pickle.*save_file\(model.state_dict\(\), 'model.safetensors'\)"):
        load_backbone(RESNET, weights=str(path))


@pytest.mark.parametrize(
    ("name", "weights", "complaint"),
    [
        (RESNET, "pretraind", "expected pretrained, random or the path"),
        (RESNET, "/nowhere/x.safetensors", "does not exist"),
        ("efficientnet-lite0", "random", "did you mean efficientnet_lite0"),
        ("resnet50", "random", "did you mean torchvision/resnet50 or timm/resnet50"),
        ("torchvison/resnet50", "random", r"did you mean torchvision/resnet50\?.*efficientnet_lite0, "),
        ("torchvision/", "random", "no backbone is named 'torchvision/'"),
        ("", "random", "no backbone is named ''; there are efficientnet_lite0"),
        ("torchvision/resnet19", "random", "did you mean torchvision/resnet1"),
        ("timm/resnet10tt", "random", "did you mean timm/resnet10t"),
        ("transformers/./no-such-folder", "random", "there is no folder ./no-such-folder"),
        ("transformers/nobody/nothing", "random", "random weights fetch nothing"),
    ],
)
def test_refusals_say_what_to_do(name, weights, complaint):
    with pytest.raises(UsageError, match=complaint) as caught:
        load_backbone(name, weights=weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "module", "hint"),
    [
        ("efficientnet_lite0", "efficientnet_lite_pytorch", r"pip install 'hapistore\[demo\]'"),
        ("timm/resnet10t", "timm", "pip install timm"),
        (RESNET, "torchvision.models", "pip install torchvision"),
        ("transformers/x/y", "transformers", "pip install transformers"),
    ],
)
def test_a_package_that_is_missing(monkeypatch, name, module, hint):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=hint):
        load_backbone(name, weights="random")


def test_weights_that_cannot_be_downloaded(monkeypatch):
    models = pytest.importorskip("torchvision").models

    def no_network(*_args, **_options):
        raise URLError("no route")

    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", no_network)
    # What a machine without a route raises too, after three quarters of a minute of further tries.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"cannot be fetched \(URLError.*--weights random, or --weights FILE"):
        load_backbone(RESNET)
    with pytest.raises(UsageError, match=r"pretrained weights of timm/resnet10t cannot be fetched"):
        load_backbone("timm/resnet10t")
