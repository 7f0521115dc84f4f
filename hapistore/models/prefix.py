"""The frozen part of a network, as extraction runs it: uint8 pixels to float32 features."""

from __future__ import annotations

import copy
import textwrap

import torch
from torch import nn

from ..errors import UsageError
from ..images import Preprocess
from .pixel_network import PixelNetwork
from .surgery import unwrapped

# BatchNorm counts its training steps here; evaluation never reads it.
_UNREAD_SUFFIX = "num_batches_tracked"


class Prefix:
    """A network up to a cut, frozen: evaluation mode, no gradients, tensors of its own.

    Attributes:
        architecture, cut, preprocess, weights_name, program: as in `Backbone`.
        module: nn.Module, uint8 [n, height, width, 3] (`preprocess.pixel_shape`) to float32 [n, *feature_shape].
        feature_shape: shape of one image's features.
    """

    def __init__(
        self,
        *,
        architecture: str,
        cut: str,
        preprocess: Preprocess,
        weights_name: str,
        network: nn.Module,
        program: str | None = None,
    ) -> None:
        """Copy and freeze a network; the network given is left as it is.

        Args:
            network: normalised float32 [n, 3, height, width] to features [n, ...].

        Raises:
            UsageError: it cannot run on an image of `preprocess`, or returns something else than one tensor.
        """
        self.architecture = architecture
        self.cut = cut
        self.preprocess = preprocess
        self.weights_name = weights_name
        self.program = program
        own = frozen_copy(network, architecture)
        # A network that its user moved to an accelerator runs there, the normaliser with it.
        self._device = next((parameter.device for parameter in own.parameters()), torch.device("cpu"))
        self.module: nn.Module = PixelNetwork(own, preprocess).eval().to(self._device)
        self.feature_shape = self._probe()

    @property
    def pixel_shape(self) -> tuple[int, int, int]:
        """Shape of one image's pixels: (height, width, 3)."""
        return self.preprocess.pixel_shape

    def __repr__(self) -> str:
        return f"Prefix({self.architecture!r}, cut={self.cut!r}, feature_shape={self.feature_shape})"

    def weights(self) -> dict[str, torch.Tensor]:
        """The tensors that decide the features' values, by their name in the network's own state_dict.

        Returns:
            contiguous tensors on the CPU; no two share storage, as safetensors demands.
        """
        chosen: dict[str, torch.Tensor] = {}
        storages: set[int] = set()
        for name, tensor in unwrapped(self.module).state_dict().items():
            if name.rpartition(".")[2] == _UNREAD_SUFFIX:
                continue
            own = tensor.detach().to("cpu").contiguous()
            if own.untyped_storage().data_ptr() in storages:
                own = own.clone()
            storages.add(own.untyped_storage().data_ptr())
            chosen[name] = own
        return chosen

    def _probe(self) -> tuple[int, ...]:
        """Shape of one image's features, found by running one black image."""
        where = f"cut {self.cut!r} of {self.architecture}"
        height, width, _ = self.preprocess.pixel_shape
        pixels = torch.zeros((1, height, width, 3), dtype=torch.uint8, device=self._device)
        try:
            with torch.inference_mode():
                features = self.module(pixels)
        except Exception as error:  # a network may raise anything; the caller learns which and at what size
            raise UsageError(f"{where} cannot run on a {height}×{width} image: {one_line(error)}") from error
        if features.ndim < 2 or features.shape[0] != 1:
            raise UsageError(f"{where} returned shape {tuple(features.shape)} for 1 image, expected (1, ...)")
        return tuple(features.shape[1:])


def frozen_copy(network: nn.Module, name: str) -> nn.Module:
    """A deep copy in evaluation mode whose parameters take no gradients.

    Raises:
        UsageError: the network cannot be copied.
    """
    try:
        own = copy.deepcopy(network)
    except Exception as error:  # copying runs the network's own code
        raise UsageError(f"{name} cannot be copied, and a prefix needs a copy: {one_line(error)}") from error
    return own.eval().requires_grad_(False)


def one_line(error: Exception) -> str:
    """Type and first line of an error: enough for a message, the rest is in its cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {textwrap.shorten(lines[0], 160)}" if lines else type(error).__name__
