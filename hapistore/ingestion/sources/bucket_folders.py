"""Class folders below a prefix of a bucket."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from ...errors import UsageError
from ...stores.bucket import Bucket, ObjectUrl
from .class_folders import NO_IMAGE, all_subsets, annotate, has_image_extension
from .keys import problem_of_key
from .places import FetchedImage, bucket_at
from .protocol import Chunk, ImageRef, Listing

_ROWS = 1024
HIDDEN = "objects whose names begin with a dot"


class BucketFolders:
    """``s3://bucket/prefix/label/…/image.jpg``, with subsets above the labels as in a folder.

    Listed page by page while images are fetched, in the bucket's order.

    Args:
        url: ``s3://…``, ``gs://…`` or ``az://…``; names are written as they are, nothing is escaped.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self._url = os.fspath(url)
        parsed = ObjectUrl.parse(self._url)
        self._bucket, self._folder = bucket_at(parsed.bucket), parsed.name.strip("/")

    def listing(self) -> Listing:
        folders, objects = self._bucket.children(self._folder)
        if not folders and not objects:
            raise UsageError(f"source {self._url} has no objects; expected {self._url.rstrip('/')}/LABEL/IMAGE.jpg")
        beside = any(has_image_extension(entry.name.rpartition("/")[2]) for entry in objects)
        with_subsets = bool(folders) and not beside and all_subsets(folders)
        ignored: dict[str, int] = Counter()
        return Listing(chunks=self._chunks(with_subsets, ignored), ignored=ignored, remote=True)

    def _chunks(self, with_subsets: bool, ignored: dict[str, int]) -> Iterator[Chunk]:
        keys: list[str] = []
        images: list[ImageRef] = []
        found = 0
        for key, image in self._images(self._bucket, ignored):
            keys.append(key)
            images.append(image)
            if len(keys) == _ROWS:
                yield Chunk(annotations=annotate(keys, with_subsets), images=images)
                found, keys, images = found + len(keys), [], []
        if keys:
            yield Chunk(annotations=annotate(keys, with_subsets), images=images)
        elif not found:
            passed = "; ".join(f"{count} {why}" for why, count in ignored.items())
            raise UsageError(f"source {self._url} has no images ({passed})")

    def _images(self, bucket: Bucket, ignored: dict[str, int]) -> Iterator[tuple[str, ImageRef]]:
        start = len(self._folder) + 1 if self._folder else 0
        for entry in bucket.list(self._folder):
            key = entry.name[start:]
            problem = problem_of_key(key)
            if any(part.startswith(".") for part in key.split("/")):
                ignored[HIDDEN] = ignored.get(HIDDEN, 0) + 1
            elif not has_image_extension(key.rpartition("/")[2]):
                ignored[NO_IMAGE] = ignored.get(NO_IMAGE, 0) + 1
            elif problem:
                ignored[f"objects whose names are {problem}"] = ignored.get(f"objects whose names are {problem}", 0) + 1
            else:
                yield key, FetchedImage(bucket, entry.name, entry.bytes)


def bucket_folder(url: str | os.PathLike[str]) -> BucketFolders:
    """Class folders below a prefix of a bucket as a source."""
    return BucketFolders(url)
