"""A dataset version's images as one network takes them: what a reader opens where no cut is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hapistore_format import DatasetVersion

from ..stores import ObjectStore

if TYPE_CHECKING:
    from ..images import Preprocess  # reading features needs no image library


@dataclass(frozen=True, kw_only=True)
class ImageView:
    """The counterpart of a `View`: images in place of features. Pickles as it is."""

    store: ObjectStore
    version: DatasetVersion
    preprocess: Preprocess

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image's pixels: (height, width, 3)."""
        return self.preprocess.pixel_shape

    def __str__(self) -> str:
        return f"{self.version.label} · images"
