"""A network with the places where it may be cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from ..errors import UsageError
from ..images import Preprocess, with_decoder
from .prefix import Prefix


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network, its preprocessing, and its cuts.

    Attributes:
        architecture: decides, with the weights and the cut, what is computed: ``torchvision/resnet18``.
        weights_name: where the weights come from, for people; values are identified by the weights themselves.
        preprocess: what turns encoded bytes into the pixels this network was trained on.
        cuts: name of a cut to a function giving the module up to it. The module takes normalised float32
            [n, 3, height, width] and returns features [n, ...]; it may share tensors with the network, since
            a `Prefix` copies what it is given.
        default_cut: the cut taken when none is named.
        program: SHA-256 (hex) of what is computed, where the architecture's name alone does not say it.
    """

    architecture: str
    weights_name: str
    preprocess: Preprocess
    cuts: Mapping[str, Callable[[], nn.Module]] = field(repr=False)
    default_cut: str
    program: str | None = None

    def __post_init__(self) -> None:
        if self.default_cut not in self.cuts:
            raise ValueError(f"default_cut is {self.default_cut!r}, expected one of {', '.join(self.cuts)}")

    def whole(self) -> nn.Module:
        """The whole network with its classifier, where it has one: normalised float32 [n, 3, height, width] in.

        Its attribute ``hapistore_preprocess`` is the backbone's preprocessing, for `preprocess_for`.
        """
        network = self.cuts["logits" if "logits" in self.cuts else self.default_cut]()
        # Neither a tensor nor a module; by a name that no network has of its own.
        object.__setattr__(network, "hapistore_preprocess", self.preprocess)
        return network

    def prefix(self, cut: str | None = None, *, decoder: str | None = None) -> Prefix:
        """The frozen network up to a cut, as a copy of its own.

        Args:
            cut: one of `cuts`; the default cut if None.
            decoder: ``pillow`` or ``fast`` instead of what the preprocessing says; see `Preprocess`.

        Raises:
            UsageError: there is no such cut or decoder, or the network cannot run on its preprocessing's images.
        """
        chosen = self.default_cut if cut is None else cut
        if chosen not in self.cuts:
            raise UsageError(
                f"{self.architecture} has no cut {chosen!r}; it has {', '.join(self.cuts)} (default {self.default_cut})"
            )
        return Prefix(
            architecture=self.architecture,
            cut=chosen,
            preprocess=self.preprocess if decoder is None else with_decoder(self.preprocess, decoder),
            weights_name=self.weights_name,
            network=self.cuts[chosen](),
            program=self.program,
        )
