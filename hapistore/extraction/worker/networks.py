"""What a job may run: a prefix, what loads one, and what is known of it before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hapistore_format import Recipe

from ...errors import UsageError
from ...images import Preprocess
from ...models import AnyPrefix, OnnxPrefix, Prefix, load_backbone
from ..recipes import recipe_of


class LoadsPrefix(Protocol):
    """A frozen prefix that is loaded when its turn comes, and again; equal ones load the same."""

    def __hash__(self) -> int: ...

    def load(self) -> AnyPrefix:
        """Into memory.

        Raises:
            HapistoreError: it cannot be had.
        """


@runtime_checkable
class KnownNetwork(LoadsPrefix, Protocol):
    """One whose recipe is known without it, so that a job of it is submitted at once.

    Attributes:
        weights_bytes: size of its frozen weights; weights_name: where they come from, for people.
    """

    @property
    def weights_bytes(self) -> int: ...
    @property
    def weights_name(self) -> str: ...
    def recipe(self) -> Recipe:
        """Of the images as they are; what ``load`` gives is compared with it."""

    def preprocess(self) -> Preprocess:
        """As the recipe has it."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A frozen prefix by name.

    Attributes:
        backbone, weights: as `load_backbone` takes them; cut, decoder: as `Backbone.prefix` does.
    """

    backbone: str
    weights: str = "pretrained"
    cut: str | None = None
    decoder: str | None = None

    def load(self) -> Prefix:
        """Into memory.

        Raises:
            UsageError: there is no such network.
        """
        return load_backbone(self.backbone, weights=self.weights).prefix(self.cut, decoder=self.decoder)


@dataclass(frozen=True)
class Facts:
    """What is kept of a network that was looked at."""

    recipe: Recipe
    preprocess: Preprocess
    weights_bytes: int
    weights_name: str


def load_prefix(network: LoadsPrefix | AnyPrefix) -> AnyPrefix:
    """The prefix itself."""
    return network if isinstance(network, (Prefix, OnnxPrefix)) else network.load()


def facts_by_loading(network: LoadsPrefix | AnyPrefix, precision: str) -> Facts:
    """Looks at the network itself.

    Raises:
        HapistoreError: it cannot be had, or there is no such precision.
    """
    prefix = load_prefix(network)
    recipe, weights = recipe_of(prefix, precision=precision)
    return Facts(recipe, prefix.preprocess, len(weights), prefix.weights_name)


def facts_as_told(network: KnownNetwork, precision: str) -> Facts:
    """Takes a network's word.

    Raises:
        UsageError: its recipe is of another precision, or of a variant of the images.
    """
    recipe = network.recipe()
    if recipe.precision != precision or recipe.augmentation:
        raise UsageError(f"its recipe is {recipe.label}, of {recipe.precision}; expected {precision}, of plain images")
    return Facts(recipe, network.preprocess(), network.weights_bytes, network.weights_name)


def short_name(network: LoadsPrefix | AnyPrefix) -> str:
    """For people."""
    if isinstance(network, (Prefix, OnnxPrefix)):
        return network.architecture
    if isinstance(network, Network):
        return network.backbone + (f":{network.cut}" if network.cut else "")
    return network.recipe().label if isinstance(network, KnownNetwork) else type(network).__name__
