"""A known network's prefix, from its name and frozen tensors alone: nothing is fetched, no foreign code is run."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import UsageError
from ..images import Preprocess
from .backbone import Backbone
from .efficientnet_lite import NAMES
from .prefix import Prefix, one_line
from .registry import load_backbone
from .surgery import copy_around, unwrapped
from .weights import building_on, load_tensors

# Their names alone say which code builds the network, and building it with random weights asks nobody.
_FAMILIES = ("torchvision", "timm")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_log = logging.getLogger(__name__)


def is_rebuildable(architecture: str) -> bool:
    """Whether a name is of the kind that `rebuild_prefix` takes."""
    family, slash, name = architecture.partition("/")
    if not slash:
        return architecture in NAMES
    return family in _FAMILIES and bool(_NAME.fullmatch(name)) and ".." not in name


def rebuild_prefix(
    architecture: str,
    cut: str,
    preprocess: Preprocess,
    weights: Mapping[str, torch.Tensor],
    *,
    weights_name: str = "",
    max_memory_bytes: int | None = None,
) -> Prefix:
    """The prefix whose ``weights()`` these are.

    Args:
        weights: all of its tensors and no others, in their shapes and dtypes.
        max_memory_bytes: that a value may take when it runs on an image larger than its family's own; None: any.

    Raises:
        UsageError: the architecture cannot be rebuilt here, has no such cut, or the tensors are not its own.
    """
    _check_name(architecture)
    _check_without_values(architecture, cut, weights)
    backbone = load_backbone(architecture, weights="random")
    network = _network(backbone, cut)
    _check_tensors(network, weights, f"{architecture}:{cut}")
    own_px, image_px = backbone.preprocess.crop_px, preprocess.crop_px
    if max_memory_bytes is not None and math.prod(image_px) > math.prod(own_px):
        _check_memory(network, image_px, max_memory_bytes, f"{architecture}:{cut}")
    load_tensors(unwrapped(network), dict(weights), f"the weights do not fit {architecture}:{cut}")
    return Prefix(architecture=architecture, cut=cut, preprocess=preprocess, weights_name=weights_name, network=network)


def _check_name(architecture: str) -> None:
    if is_rebuildable(architecture):
        return
    if architecture.startswith("transformers/"):
        why = "its configuration lies in a folder or on a hub, neither of which is asked"
    else:
        why = f"known are {', '.join((*NAMES, *(f'{family}/<name>' for family in _FAMILIES)))}"
    raise UsageError(
        f"{architecture!r:.120} cannot be rebuilt from its name: {why}; register it as an ONNX program, "
        "or extract beside the store"
    )


def _network(backbone: Backbone, cut: str) -> nn.Module:
    if cut not in backbone.cuts:
        raise UsageError(f"{backbone.architecture} has no cut {cut!r:.80}; it has {', '.join(backbone.cuts)}")
    return backbone.cuts[cut]()


def _check_without_values(architecture: str, cut: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Compare before anything is allocated: some known networks have gigabytes, and whoever asks may send none."""
    try:
        with building_on("meta"):
            network = _network(load_backbone(architecture, weights="random"), cut)
    except UsageError:
        raise
    except Exception as error:  # some read values while they are built, which there are none of
        _log.info("%s is compared once it is built: %s", architecture, one_line(error))
        return
    _check_tensors(network, weights, f"{architecture}:{cut}")


def _check_tensors(network: nn.Module, weights: Mapping[str, torch.Tensor], label: str) -> None:
    """Names, shapes and dtypes."""
    expected = {
        name: tensor
        for name, tensor in unwrapped(network).state_dict().items()
        if name.rpartition(".")[2] != "num_batches_tracked"  # decides no feature, and no prefix lists it
    }
    faults = [f"{name} is missing" for name in expected if name not in weights]
    faults += [f"{name!r:.120} is none of its tensors" for name in weights if name not in expected]
    faults += [
        f"{name} is {tensor.dtype} {list(tensor.shape)}, expected {expected[name].dtype} {list(expected[name].shape)}"
        for name, tensor in weights.items()
        if name in expected and (tensor.dtype, tensor.shape) != (expected[name].dtype, expected[name].shape)
    ]
    if faults:
        more = f", and {len(faults) - 2} more" if len(faults) > 2 else ""
        raise UsageError(f"the weights do not fit {label}: {'; '.join(faults[:2])}{more}")


def _check_memory(network: nn.Module, image_px: tuple[int, int], most: int, label: str) -> None:
    """What one image's largest value takes, found without values."""
    twin = copy_around(network, lambda tensor: tensor.to("meta"))
    with torch.inference_mode(), _Largest() as largest:
        try:
            twin.eval()(torch.empty((1, 3, *image_px), device="meta"))
        except Exception as error:  # a network may raise anything, of a size that is not its own above all
            raise UsageError(f"{label} cannot run on a {image_px[0]}×{image_px[1]} image: {one_line(error)}") from error
    if largest.bytes > most:
        raise UsageError(
            f"{label} on a {image_px[0]}×{image_px[1]} image makes a value of {largest.bytes:,} bytes, "
            f"allowed are {most:,}"
        )


class _Largest(TorchDispatchMode):
    """Looks at what every operator returns.

    Attributes:
        bytes: of the largest tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(value, torch.Tensor):
                self.bytes = max(self.bytes, value.nbytes)
        return found
