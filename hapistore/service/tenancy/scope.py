"""What all tenants that are confined to the same dataset names see, from memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fnmatch import fnmatchcase

from hapistore_format.version import is_dataset_name

from ...catalog.names import ParsedName, parse_name
from ...stores import ObjectStore
from ...threads import map_ahead
from .listed import Listed, find_datasets
from .looking import Looks

_THREADS, _AHEAD = 8, 16
_WILD = frozenset("*?[")
_MOST_ASKED = 1000


class Shelf:
    """The datasets of a store, each kept once for all who may see it. Thread-safe."""

    def __init__(self, store: ObjectStore, *, grace_s: float, clock: Callable[[], float]) -> None:
        self.store, self.clock = store, clock
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._datasets: dict[str, Listed] = {}

    def dataset(self, name: str) -> Listed:
        with self._lock:
            if name not in self._datasets:
                self._datasets[name] = Listed(self.store, name, grace_s=self._grace_s, clock=self.clock)
            return self._datasets[name]


class Scope:
    """Thread-safe.

    Attributes:
        images: looks for new datasets, and new versions of them.
        recipes: looks for recipes that have features of their images.
    """

    def __init__(self, shelf: Shelf, patterns: tuple[str, ...], *, look_every_s: float) -> None:
        self._shelf, self._patterns, self._look_every_s = shelf, patterns, look_every_s
        self.images = Looks(self._look_at_datasets, clock=shelf.clock)
        self.recipes = Looks(self._look_at_recipes, clock=shelf.clock)
        self._lock = threading.Lock()
        self._datasets: tuple[Listed, ...] = ()
        # recipe → an image shard, of those that may be seen, that has features of it
        self._witnesses: dict[bytes, bytes] = {}
        self._none_found: dict[bytes, float] = {}
        self._asked: set[bytes] = set()

    def holds(self, parsed: ParsedName) -> bool:
        """Whether a version of these datasets lists this object or, of features, their image shard."""
        return any(dataset.holds(parsed) for dataset in self._datasets)

    def knows_recipe(self, recipe: bytes) -> bool:
        """Whether a recipe was found to have features of an image shard that is listed, still."""
        witness = self._witnesses.get(recipe)
        return witness is not None and self._lists_images(witness)

    def witness(self, features: ParsedName) -> None:
        """Note features that are stored, of an image shard that is listed."""
        self._witnesses[bytes.fromhex(features.parts["recipe"])] = bytes.fromhex(features.parts["images"])

    def look_for(self, recipe: bytes) -> None:
        """Have the next look at recipes look at this one, even if it did a moment ago."""
        with self._lock:
            if len(self._asked) < _MOST_ASKED:  # made-up ones cost nothing: only those that are there are looked at
                self._asked.add(recipe)

    def _lists_images(self, digest: bytes) -> bool:
        return any(dataset.lists_images(digest) for dataset in self._datasets)

    def _look_at_datasets(self) -> None:
        if any(_WILD & set(pattern) for pattern in self._patterns):
            names = find_datasets(self._shelf.store, self._allows)
        else:
            names = [name for name in self._patterns if is_dataset_name(name)]
        datasets = tuple(self._shelf.dataset(name) for name in names)
        for _ in map_ahead(_look, datasets, threads=_THREADS, ahead=_AHEAD, name="hapistore-scope"):
            pass
        self._datasets = datasets

    def _allows(self, dataset: str) -> bool:
        return any(fnmatchcase(dataset, pattern) for pattern in self._patterns)

    def _look_at_recipes(self) -> None:
        """List the features of recipes, up to the first that may be seen; of hidden ones, once in a while, all."""
        self.images.fresh()
        with self._lock:
            asked, self._asked = self._asked, set()
        now, none_found = self._shelf.clock(), dict[bytes, float]()
        for info in self._shelf.store.list("recipes/"):
            parsed = parse_name(info.name)
            if parsed is None or parsed.kind != "recipe":
                continue
            recipe = bytes.fromhex(parsed.parts["digest"])
            looked_at = self._none_found.get(recipe)
            if self.knows_recipe(recipe):
                continue
            if recipe not in asked and looked_at is not None and now - looked_at <= self._look_every_s:
                none_found[recipe] = looked_at
            elif not self._find_features(recipe):
                none_found[recipe] = now
        self._none_found = none_found

    def _find_features(self, recipe: bytes) -> bool:
        for info in self._shelf.store.list(f"features/{recipe.hex()}/"):
            parsed = parse_name(info.name)
            if parsed and parsed.kind == "features" and self.holds(parsed):
                self.witness(parsed)
                return True
        return False


def _look(dataset: Listed) -> None:
    dataset.looks.fresh()
