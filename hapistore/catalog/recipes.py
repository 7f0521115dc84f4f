"""Recipes and frozen weights in a store."""

from __future__ import annotations

from collections.abc import Sequence

from hapistore_format import Recipe
from hapistore_format.digests import is_digest

from ..errors import NotFound, UsageError
from ..stores import ObjectStore, ensure, exists, renew
from .names import parse_name, recipe_name, weights_name
from .reading import read_object


def register_recipe(store: ObjectStore, recipe: Recipe, weights: bytes) -> None:
    """Store a recipe and the weights it names, where they are not there yet.

    Old ones that are there are written again, since ``gc`` removes recipes that have no features.
    """
    for name, data in ((weights_name(recipe.weights), weights), (recipe_name(recipe.digest), recipe.serialise())):
        ensure(store, name, data)


def keep_registered(store: ObjectStore, recipe: Recipe, weights: bytes) -> None:
    """Register them again if ``gc`` came between, which is asked once features that need them are stored."""
    if not is_registered(store, recipe):
        register_recipe(store, recipe, weights)


def register_by_weights(store: ObjectStore, recipe: Recipe) -> bool:
    """Store a recipe whose weights are there, as of another variant of the images; whether they are."""
    try:
        renew(store, weights_name(recipe.weights))
    except NotFound:
        return False
    ensure(store, recipe_name(recipe.digest), recipe.serialise())
    return True


def is_registered(store: ObjectStore, recipe: Recipe) -> bool:
    """Whether a recipe and its weights are there."""
    return all(exists(store, name) for name in (recipe_name(recipe.digest), weights_name(recipe.weights)))


def load_recipe(store: ObjectStore, digest: str) -> Recipe:
    """Read a recipe by its digest.

    Raises:
        NotFound: there is none.
        FormatError: its file is damaged or of a later format.
    """
    name = recipe_name(digest)
    recipe = read_object(store, name, Recipe.parse)
    recipe.check_name(digest, where=name)
    return recipe


def list_recipes(store: ObjectStore) -> list[Recipe]:
    """Every recipe in the store, by digest."""
    recipes = []
    for info in store.list("recipes/"):
        parsed = parse_name(info.name)
        if parsed and parsed.kind == "recipe":
            try:
                recipes.append(load_recipe(store, parsed.parts["digest"]))
            except NotFound:
                continue  # gc removed it since it was listed
    return recipes


def find_recipe(store: ObjectStore, text: str) -> Recipe:
    """The recipe whose digest begins with ``text``, or that it names.

    Names are the architecture, ``architecture:cut`` and ``architecture:cut:precision``, of images as they are; one of
    a variant has its whole label.

    Raises:
        UsageError: none or several; the message lists them.
    """
    if is_digest(text):
        try:
            return load_recipe(store, text)
        except NotFound:
            pass  # it is told what there is instead
    recipes = list_recipes(store)
    found = [r for r in recipes if r.digest.startswith(text) or text in _names(r)]
    if len(found) == 1:
        return found[0]
    several = found or recipes
    listed = ", ".join(f"{r.digest[:12]} ({name})" for r, name in zip(several, label_apart(several), strict=True))
    what = "names several recipes" if found else "names no recipe"
    raise UsageError(f"{text!r} {what}; there is: {listed or 'none'}")


def label_apart(recipes: Sequence[Recipe]) -> list[str]:
    """What to call each of several recipes, the precision said wherever they differ in it."""
    if len({recipe.precision for recipe in recipes}) < 2:
        return [recipe.label for recipe in recipes]
    return [f"{recipe.architecture}:{recipe.cut}:{recipe.precision}{recipe.variant_label}" for recipe in recipes]


def _names(recipe: Recipe) -> tuple[str, ...]:
    cut = f"{recipe.architecture}:{recipe.cut}"
    precise = f"{cut}:{recipe.precision}"
    if recipe.augmentation:
        return recipe.label, precise + recipe.variant_label
    return recipe.architecture, cut, precise
