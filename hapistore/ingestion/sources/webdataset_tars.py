"""Tars in WebDataset's layout, on this machine or in a bucket."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...errors import ImageError, UsageError
from .column_types import ColumnTypes
from .places import Place, find_places
from .protocol import Chunk, ImageRef, Listing
from .samples import Sample, failing, read_samples
from .tar_members import EXTENSIONS, TarReader, unpack

_HELD_BYTES, _HELD_ROWS = 8 << 20, 64
_WITHOUT = "samples without an image"


class WebDataset:
    """Samples of tars, in their order: an image, its ``.cls``, ``.json`` and ``.txt``.

    Nothing is unpacked to disk. Tars are read in order, 8 MiB or 64 records held at a time: to note where images lie
    and have other threads read them was slower, since every byte is passed twice.

    Args:
        pattern: files or ``s3://…`` objects, with braces and globs: ``train-{000..099}.tar``. Packed ones
            (``.tar.gz``, ``.tar.zst``) too. A folder stands for all tars that lie in it.
        image_extension: which member is the image, where samples have several: ``jpg``, ``seg.png``.
        label: the member of ``.json`` that is the label where there is no ``.cls``; subset: that is the subset.
    """

    def __init__(
        self,
        pattern: str | os.PathLike[str],
        *,
        image_extension: str | None = None,
        label: str = "label",
        subset: str = "subset",
    ) -> None:
        self._pattern = os.fspath(pattern)
        self._extension = image_extension.lower().lstrip(".") if image_extension else None
        self._label, self._subset = label, subset

    def listing(self) -> Listing:
        places = self._places()
        ignored: dict[str, int] = Counter()
        only = places[0].path if len(places) == 1 else None
        return Listing(chunks=self._chunks(places, Counter(), ignored), root=only, ignored=ignored)

    def _places(self) -> list[Place]:
        folder = os.path.isdir(self._pattern)  # noqa: PTH112
        places = find_places(os.path.join(self._pattern, "*")) if folder else find_places(self._pattern)  # noqa: PTH118
        if folder:
            places = [place for place in places if is_tar(place.name)]
        if not places:
            raise UsageError(f"source {self._pattern} has no tars; expected files like train-0000.tar")
        return places

    def _chunks(self, places: list[Place], found: Counter[str], ignored: dict[str, int]) -> Iterator[Chunk]:
        types = ColumnTypes(f"source {self._pattern}")
        images: list[ImageRef] = []
        rows: list[dict[str, Any]] = []
        held = records = 0
        for place in places:
            for sample in self._samples(place, found):
                image = sample.image(self._extension, place.name)
                if image is None:
                    found[_WITHOUT] += 1
                    continue
                row, image = self._annotate(sample, image)
                rows.append(row)
                images.append(image)
                held += (len(image) if isinstance(image, bytes) else 0) + sum(map(len, sample.texts.values()))
                if held >= _HELD_BYTES or len(rows) == _HELD_ROWS:
                    yield Chunk(annotations=types.table(rows), images=images)
                    records, rows, images, held = records + len(rows), [], [], 0
            ignored.update(found)
        if rows:
            yield Chunk(annotations=types.table(rows), images=images)
        if not records + len(rows):
            passed = "; ".join(f"{count} {why}" for why, count in found.items()) or "it is empty"
            raise UsageError(f"source {self._pattern} has no samples with an image ({passed})")

    def _samples(self, place: Place, ignored: Counter[str]) -> Iterator[Sample]:
        with place.open(in_order=True) as file:
            tar = TarReader(unpack(file, place.name.lower()), place.name)
            yield from read_samples(tar, ignored, chosen=self._extension)

    def _annotate(self, sample: Sample, image: ImageRef) -> tuple[dict[str, Any], ImageRef]:
        try:
            row = sample.annotations()
        except ImageError as error:
            return {"key": sample.key}, failing(error)
        if self._label != "label" and "cls" not in sample.texts:
            row["label"] = row.pop(self._label, None)
        if self._subset != "subset":
            row["subset"] = row.pop(self._subset, None)
        return row, image


def is_tar(name: str) -> bool:
    """Whether a file or object is called like a tar."""
    return name.lower().endswith(EXTENSIONS)


def webdataset(pattern: str | os.PathLike[str], **options: str) -> WebDataset:
    """WebDataset tars as a source; see WebDataset for the options."""
    return WebDataset(pattern, **options)
