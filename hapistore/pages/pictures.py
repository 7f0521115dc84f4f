"""Thumbnails of chosen images, and the sizes of all images in the shards that are read for them."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from hapistore_format import DatasetVersion, ImageShard

from ..catalog import open_image_shard
from ..errors import ImageError
from ..images import decode_rgb
from ..stores import ObjectStore
from ..threads import map_ahead
from .choosing import evenly
from .survey import Label, live_rows

SIDE_PX = 96
_QUALITY = 80
_THREADS, _AHEAD = 4, 64


class Place(NamedTuple):
    """One image of a version."""

    shard: int
    row: int
    key: str
    subset: str | None


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small upright copy of an image as a ``data:`` URI, empty where it cannot be decoded; its own size, upright."""

    key: str
    subset: str | None
    uri: str
    width: int
    height: int


@dataclass(kw_only=True)
class Sizes:
    """Of all images in the shards that were read.

    Attributes:
        shapes: (width, height), upright; bytes: of each image as stored.
    """

    shapes: Counter[tuple[int, int]] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    bytes: list[int] = field(default_factory=list)


def choose_places(
    store: ObjectStore, version: DatasetVersion, shards: Sequence[int], labels: Sequence[Label], *, per_label: int
) -> dict[Label, list[Place]]:
    """Images of each label, evenly over its images in the shards, in their order."""
    found: dict[Label, list[Place]] = {label: [] for label in labels}
    for shard in shards:
        table = live_rows(store, version, shard)
        for row, key, label, subset in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if label in found:
                found[label].append(Place(shard, row, key, subset))
    return {label: evenly(places, per_label) for label, places in found.items()}


def make_thumbnails(
    store: ObjectStore,
    version: DatasetVersion,
    shards: Sequence[int],
    places: Sequence[Place],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[Place, Thumbnail], Sizes]:
    """Read each shard once; make the thumbnails of its places and note the sizes of its images.

    Raises:
        FormatError, NotFound: a shard is damaged, or gone.
    """
    thumbnails: dict[Place, Thumbnail] = {}
    sizes = Sizes()
    wanted: dict[int, list[Place]] = {shard: [] for shard in shards}
    for place in places:
        wanted[place.shard].append(place)

    def jobs() -> Iterator[tuple[ImageShard, Place]]:
        for shard, chosen in wanted.items():
            images = open_image_shard(store, version.shards[shard])
            _note_sizes(images, live_rows(store, version, shard)["row"], sizes)
            yield from ((images, place) for place in chosen)

    made = map_ahead(_thumbnail, jobs(), threads=_THREADS, ahead=_AHEAD, name="hapistore-peek")
    for done, (place, thumbnail) in enumerate(made, 1):
        thumbnails[place] = thumbnail
        if on_progress:
            on_progress(done, len(places))
    return thumbnails, sizes


def _note_sizes(images: ImageShard, rows: pa.ChunkedArray, sizes: Sizes) -> None:
    chosen = rows.to_numpy()
    width, height, turned = (
        np.asarray(images.column(name).to_numpy())[chosen] for name in ("width", "height", "orientation")
    )
    swapped = turned > 4
    upright = zip(np.where(swapped, height, width).tolist(), np.where(swapped, width, height).tolist(), strict=True)
    sizes.shapes.update(upright)
    sizes.formats.update(images.column("format").take(pa.array(chosen)).to_pylist())
    sizes.bytes += [len(images.image(row)) for row in chosen.tolist()]


def _thumbnail(job: tuple[ImageShard, Place]) -> tuple[Place, Thumbnail]:
    images, place = job
    try:
        picture = decode_rgb(images.image(place.row))
    except ImageError:  # ingest decoded it; shown as a gap, this Pillow cannot
        return place, Thumbnail(key=place.key, subset=place.subset, uri="", width=0, height=0)
    width, height = picture.size
    picture.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    picture.save(encoded, "WEBP", quality=_QUALITY)
    uri = "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode()
    return place, Thumbnail(key=place.key, subset=place.subset, uri=uri, width=width, height=height)
