"""Views: one dataset version seen through one recipe and codec. What a reader opens."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hapistore_format import DatasetVersion, Recipe, get_codec

from ..errors import MissingFeatures, UsageError
from ..stores import ObjectStore
from .datasets import resolve_version
from .inventory import FeatureSummary, dataset_features
from .marker import require_store
from .missing import MissingRows, find_missing
from .names import features_name
from .recipes import find_recipe, label_apart


@dataclass(frozen=True, kw_only=True)
class View:
    """Resolved once, then the same on every rank and in every loader worker; pickles as it is.

    Attributes:
        missing: rows without features, by the number of their shard; no reader hands them out.
    """

    store: ObjectStore
    version: DatasetVersion
    recipe: Recipe
    codec: str
    missing: MissingRows = field(default_factory=dict)

    @property
    def missing_rows(self) -> np.ndarray:
        """int64, ascending: rows without features, by their numbers over all shards."""
        starts = np.cumsum([0, *(shard.rows for shard in self.version.shards)])
        found = [starts[number] + row for number, rows in sorted(self.missing.items()) for row, _ in rows]
        return np.array(found, np.int64)

    @property
    def identity(self) -> dict[str, str]:
        """What a reader's state names: dataset version, recipe and codec."""
        return {"dataset": self.version.label, "recipe": self.recipe.digest, "codec": self.codec}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image's features."""
        return self.recipe.shape

    def feature_names(self) -> list[str]:
        """Object names of the feature shards, in the version's order."""
        return [features_name(self.recipe.digest, self.codec, shard.images) for shard in self.version.shards]

    def __str__(self) -> str:
        return f"{self.version.label} · {self.recipe.label} · {self.codec}"


def open_view(store: ObjectStore, dataset: str, *, recipe: str | None = None, codec: str | None = None) -> View:
    """Resolve a view whose features are all there.

    Args:
        dataset: ``pets`` for the newest version, ``pets@7`` for one.
        recipe: beginning of a recipe digest, or an architecture (``efficientnet_lite0``), ``architecture:cut`` or
            ``architecture:cut:bf16``. May be left out where the version has features of one recipe only.
        codec: spec string. May be left out where there is one only.

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
    fitting = [
        s for s in dataset_features(store, version)
        if wanted in (None, s.recipe.digest) and codec in (None, s.codec)
    ]  # fmt: skip
    summary = _only(fitting, version, recipe, codec)
    if not summary.complete:
        precision = "" if summary.recipe.precision == "f32" else f" --precision {summary.recipe.precision}"
        raise MissingFeatures(
            f"{len(version.shards) - summary.shards} of the {len(version.shards)} image shards of {version.label} "
            f"have no {summary.codec} features yet; finish with `hapistore extract {version.label} "
            f"--backbone {summary.recipe.architecture} --cut {summary.recipe.cut}{precision} --codec {summary.codec}`"
        )
    missing = find_missing(store, version, summary.recipe, summary.codec)
    return View(store=store, version=version, recipe=summary.recipe, codec=summary.codec, missing=missing)


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
