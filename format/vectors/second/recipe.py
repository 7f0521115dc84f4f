"""Recipes and their one spelling, from which their digest follows (recipes.md)."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from .augmentation import check_augmentation
from .members import check_format, digest, shape, text
from .refused import Refused, check
from .sealed_json import read_sealed_json, spell, write_sealed_json

MEMBERS = ("architecture", "weights", "program", "cut", "preprocess", "precision", "shape")


def canonical(recipe: dict[str, Any]) -> bytes:
    """The canonical form; NaN, infinities and lone surrogates have none (bad-field)."""
    _check_numbers(recipe)
    try:
        return spell(recipe, None).encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("bad-field", "a lone surrogate") from None


def _check_numbers(value: Any) -> None:
    if isinstance(value, float):
        check(math.isfinite(value), "bad-field", f"{value} in a recipe")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_numbers(part)


def recipe_digest(recipe: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(recipe)).hexdigest()


def read_recipe(data: bytes, name: str) -> dict[str, Any]:
    """The file's object; ``name`` is the digest by which it was asked for."""
    whole = read_sealed_json(data)
    check_format(whole)
    recipe = whole.get("recipe")
    if not isinstance(recipe, dict):
        raise Refused("bad-field", "recipe is no object")
    check(isinstance(whole.get("notes"), dict), "bad-field", "notes is no object")
    unknown = set(recipe) - {*MEMBERS, "augmentation"}
    check(not unknown, "unsupported-feature", f"recipe members {sorted(unknown)}")
    for member in ("architecture", "cut"):
        text(recipe, member)
    digest(recipe, "weights")
    if recipe.get("program", "") is not None:
        digest(recipe, "program")
    check(isinstance(recipe.get("preprocess"), dict), "bad-field", "preprocess is no object")
    check(text(recipe, "precision") in ("f32", "bf16"), "bad-field", f"precision {recipe['precision']}")
    shape(recipe)
    if "augmentation" in recipe:
        check_augmentation(recipe["augmentation"])
    check(recipe_digest(recipe) == name, "bad-digest", "the recipe has another digest")
    return whole


def write_recipe(recipe: dict[str, Any], notes: dict[str, Any]) -> tuple[str, bytes]:
    """Digest and file."""
    return recipe_digest(recipe), write_sealed_json({"format": 1, "notes": notes, "recipe": recipe})
