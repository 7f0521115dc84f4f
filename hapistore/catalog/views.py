"""Views: one dataset version seen through one recipe and codec. What a reader opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hapistore_format import DatasetVersion, MissingRow, Recipe, get_codec

from ..errors import MissingFeatures, UsageError
from ..stores import ObjectStore
from .datasets import resolve_version
from .inventory import FeatureSummary, dataset_features
from .marker import require_store
from .missing import MissingRows, find_missing
from .names import features_name
from .recipes import find_recipe, label_apart
from .variants import choose_variants, extract_command, family_name


@dataclass(frozen=True, kw_only=True)
class View:
    """Resolved once, then the same on every rank and in every loader worker; pickles as it is.

    Attributes:
        missing: rows without features, in any of the recipes, by the number of their shard; no reader hands them out.
        variants: recipes of variants of the same images, of which a reader draws one for each epoch and row.
    """

    store: ObjectStore
    version: DatasetVersion
    recipe: Recipe
    codec: str
    missing: MissingRows = field(default_factory=dict)
    variants: tuple[Recipe, ...] = ()

    @property
    def missing_rows(self) -> np.ndarray:
        """int64, ascending: rows without features, by their numbers over all shards."""
        starts = np.cumsum([0, *(shard.rows for shard in self.version.shards)])
        found = [starts[number] + row for number, rows in sorted(self.missing.items()) for row, _ in rows]
        return np.array(found, np.int64)

    @property
    def identity(self) -> dict[str, str]:
        """What a reader's state names: dataset version, recipe and codec, and the variants where there are any."""
        plain = {"dataset": self.version.label, "recipe": self.recipe.digest, "codec": self.codec}
        return {**plain, "variants": ",".join(r.digest for r in self.variants)} if self.variants else plain

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image's features."""
        return self.recipe.shape

    def feature_names(self) -> list[str]:
        """Object names of the feature shards, in the version's order."""
        return [features_name(self.recipe.digest, self.codec, shard.images) for shard in self.version.shards]

    def through(self, recipe: Recipe) -> View:
        """The same rows in one recipe, that of a variant for instance."""
        return replace(self, recipe=recipe, variants=())

    def __str__(self) -> str:
        drawn = f" · {len(self.variants)} variants of {family_name(self.variants[0])}" if self.variants else ""
        return f"{self.version.label} · {self.recipe.label} · {self.codec}{drawn}"


def open_view(
    store: ObjectStore,
    dataset: str,
    *,
    recipe: str | None = None,
    codec: str | None = None,
    variants: int | str | None = None,
    augment: str | None = None,
) -> View:
    """Resolve a view whose features are all there.

    Args:
        dataset: ``pets`` for the newest version, ``pets@7`` for one.
        recipe: beginning of a recipe digest, or an architecture (``efficientnet_lite0``), ``architecture:cut`` or
            ``architecture:cut:bf16``. May be left out where the version has features of one recipe only.
        codec: spec string. May be left out where there is one only.
        variants: how many stored variants of each image readers draw from, or ``all``; None: none.
        augment: which augmentation's, such as ``crop:35-100,flip`` or ``flip,seed=1``, where there are several.

    Raises:
        UsageError: nothing or more than one thing fits; the message lists what there is.
        MissingFeatures: the extraction is not finished.
        FormatError: a feature shard is damaged where it begins.
    """
    require_store(store)
    if codec is not None:
        get_codec(codec)
    version = resolve_version(store, dataset)
    wanted = find_recipe(store, recipe).digest if recipe is not None else None
    summaries = dataset_features(store, version)
    fitting = [
        s for s in summaries
        if wanted == s.recipe.digest or (wanted is None and not s.recipe.augmentation)
        if codec in (None, s.codec)
    ]  # fmt: skip
    summary = _only(fitting, version, recipe, codec)
    if not summary.complete:
        raise MissingFeatures(
            f"{len(version.shards) - summary.shards} of the {len(version.shards)} image shards of {version.label} "
            f"have no {summary.codec} features yet; finish with "
            f"`{extract_command(version, summary.recipe, summary.codec)}`"
        )
    chosen: tuple[Recipe, ...] = ()
    if variants is not None:
        chosen = choose_variants(summaries, version, summary.recipe, summary.codec, variants=variants, augment=augment)
    missing = _missing_in_any(store, version, (summary.recipe, *chosen), summary.codec)
    return View(
        store=store, version=version, recipe=summary.recipe, codec=summary.codec, missing=missing, variants=chosen
    )


def _missing_in_any(store: ObjectStore, version: DatasetVersion, recipes: Sequence[Recipe], codec: str) -> MissingRows:
    """Rows that lack features in one of the recipes, each once."""
    found: dict[int, dict[int, MissingRow]] = {}
    for recipe in recipes:
        for number, rows in find_missing(store, version, recipe, codec).items():
            found.setdefault(number, {}).update({missing.row: missing for missing in rows})
    return {number: tuple(rows[row] for row in sorted(rows)) for number, rows in found.items()}


def _only(
    fitting: list[FeatureSummary], version: DatasetVersion, recipe: str | None, codec: str | None
) -> FeatureSummary:
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        of = "".join(f" of {what}" for what in (recipe, codec) if what)
        raise UsageError(
            f"{version.label} has no features{of}; make them with "
            f"`hapistore extract {version.dataset} --backbone efficientnet_lite0`"
        )
    labels = label_apart([s.recipe for s in fitting])
    listed = ", ".join(
        f"{label} ({s.recipe.digest[:12]}) in {s.codec}" for s, label in zip(fitting, labels, strict=True)
    )
    raise UsageError(f"{version.label} has features of several kinds: {listed}; say recipe= and codec=")
