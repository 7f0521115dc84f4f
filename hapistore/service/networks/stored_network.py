"""A network by the digest of its recipe: rebuilt from the store when its turn comes, and again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from hapistore_format import Recipe

from ...catalog.names import weights_name
from ...catalog.recipes import load_recipe
from ...errors import UsageError
from ...extraction.stored_prefix import prefix_of, preprocess_of
from ...images import Preprocess
from ...models import AnyPrefix
from ...stores import ObjectStore
from ...stores.sound import read_sound


@dataclass(frozen=True)
class StoredNetwork:
    """A network that was registered; equal to any other of the same recipe in the same store.

    Attributes:
        digest: of the recipe; that of a variant names the network of the images as they are.
        allow_onnx, require_confinement: as in `IntakeLimits`.
    """

    store: ObjectStore = field(compare=False, repr=False)
    digest: str
    allow_onnx: bool = field(default=False, compare=False)
    require_confinement: bool = field(default=True, compare=False)
    url: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.store.url)

    def load(self) -> AnyPrefix:
        """Into memory.

        Raises:
            NotFound: the store has no such recipe, or not its weights.
            FormatError: what is stored is damaged.
            UsageError: it cannot be rebuilt from its name, and is no ONNX program or one that may not run here.
        """
        recipe = self.recipe()
        if recipe.program is not None and not self.allow_onnx:
            raise UsageError(
                f"{recipe.architecture} (recipe {self.digest[:12]}) is a program, and this service runs none; its "
                "operator allows ONNX programs by --allow-onnx"
            )
        name = weights_name(recipe.weights)
        return read_sound(
            lambda: self.store.get(name),
            lambda data, *, where: prefix_of(recipe, data, must_confine=self.require_confinement),
            where=name,
        )

    def recipe(self) -> Recipe:
        """Of the images as they are.

        Raises:
            NotFound: the store has none of that digest.
        """
        return self._recipe

    def preprocess(self) -> Preprocess:
        """What turns encoded bytes into its pixels."""
        return preprocess_of(self._recipe.preprocess)

    @property
    def weights_bytes(self) -> int:
        """Size of its weights file."""
        return self._weights_bytes

    @property
    def weights_name(self) -> str:
        """Where its weights come from, for people."""
        return str(self._recipe.notes.get("weights", ""))

    @cached_property
    def _recipe(self) -> Recipe:
        return load_recipe(self.store, self.digest).plain

    @cached_property
    def _weights_bytes(self) -> int:
        return self.store.head(weights_name(self._recipe.weights)).bytes
