"""Where a backbone's weights come from: the family's own, a fixed seed, or a safetensors file."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..errors import UsageError
from .packages import import_package
from .prefix import one_line

_SEED = 0
_device: ContextVar[str] = ContextVar("device", default="cpu")
_PICKLES = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A choice of weights.

    Attributes:
        kind: ``pretrained``, ``random`` or ``file``.
        path: of the safetensors file; None for the other kinds.
    """

    kind: str
    path: Path | None = None

    def describe(self, pretrained: str) -> str:
        """Text for people; ``pretrained`` says where the family's own weights come from."""
        if self.path is not None:
            return f"weights from {self.path.name}"
        return pretrained if self.kind == "pretrained" else f"random weights (seed {_SEED})"


def parse_weights(text: str) -> Weights:
    """Read ``pretrained``, ``random`` or the path of a .safetensors file.

    Raises:
        UsageError: it is none of them, or a pickle, or no such file exists.
    """
    if text in ("pretrained", "random"):
        return Weights(kind=text)
    path = Path(text).expanduser()
    if path.suffix.lower() in _PICKLES:
        raise UsageError(
            f"weights {text} is a pickle, which can run code when loaded; convert it where you trust it: "
            f"safetensors.torch.save_file(model.state_dict(), '{path.with_suffix('.safetensors').name}')"
        )
    if path.suffix.lower() != ".safetensors":
        raise UsageError(f"weights is {text!r}, expected pretrained, random or the path of a .safetensors file")
    if not path.is_file():
        raise UsageError(f"weights file {text} does not exist")
    return Weights(kind="file", path=path)


def build_on_cpu(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network on the CPU with the fixed seed, leaving the caller's random state alone."""
    with torch.random.fork_rng(devices=[]), torch.device(_device.get()):
        torch.manual_seed(_SEED)
        return build()


@contextlib.contextmanager
def building_on(device: str) -> Iterator[None]:
    """Let ``build_on_cpu`` build elsewhere, for this thread: on ``meta``, where tensors have shapes and no values."""
    token = _device.set(device)
    try:
        yield
    finally:
        _device.reset(token)


def load_weights_file(network: nn.Module, weights: Weights, name: str) -> None:
    """Load a safetensors file into a network, if that is the choice of weights.

    Strict: every tensor of the network must be in the file in its shape, and no other. Only BatchNorm's
    count of training steps may be missing, since no feature depends on it.

    Raises:
        UsageError: the file cannot be read or does not fit.
    """
    if weights.path is None:
        return
    load_tensors(network, read_weights_file(weights.path), f"{weights.path} does not fit {name}")


def read_weights_file(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Raises:
        UsageError: it cannot be read.
    """
    safetensors = import_package("safetensors.torch", wanted_for=str(path), install="pip install safetensors")
    try:
        return safetensors.load_file(path)
    except Exception as error:  # its errors share no base class
        raise UsageError(f"{path} cannot be read as safetensors: {one_line(error)}") from error


def load_tensors(network: nn.Module, tensors: dict[str, torch.Tensor], complaint: str) -> None:
    """Load tensors strictly, as `load_weights_file` does.

    Raises:
        UsageError: starting with ``complaint``, naming what is missing, unexpected or of another shape.
    """
    expected = network.state_dict()
    missing = [key for key in expected if key not in tensors and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in tensors if key not in expected]
    reshaped = [
        f"{key} {tuple(tensor.shape)} for {tuple(expected[key].shape)}"
        for key, tensor in tensors.items()
        if key in expected and tensor.shape != expected[key].shape
    ]
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:2])}{', …' if len(keys) > 2 else ''})"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if keys
    ]
    if faults:
        raise UsageError(f"{complaint}: of {len(expected)} tensors expected, {'; '.join(faults)}")
    # Some networks read their format's version when loading; a safetensors file does not carry it.
    loaded = OrderedDict(tensors)
    loaded._metadata = getattr(tensors, "_metadata", None) or getattr(expected, "_metadata", None)  # type: ignore[attr-defined]
    network.load_state_dict(loaded, strict=False)


@contextlib.contextmanager
def fetching(
    name: str,
    what: str = "pretrained weights",
    instead: str = "give --weights random, or --weights FILE.safetensors",
) -> Iterator[None]:
    """Turn whatever a family's download raises into one line that says what else can be done.

    Raises:
        UsageError: the body failed.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # urllib, httpx, requests and hub errors share no base class
        raise UsageError(f"{what} of {name} cannot be fetched ({one_line(error)}); {instead}") from error
