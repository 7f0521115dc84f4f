"""A folder with one folder of images a class, optionally below ``train``, ``val`` and ``test``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from ...errors import UsageError
from .protocol import CHUNK_ROWS, Chunk, Listing
from .subset_names import ALL_NAMES, subset_called

EXTENSIONS = frozenset({
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "pbm", "pnm", "avif", "jp2",
    "j2k", "tga", "mpo",
})  # fmt: skip
NO_IMAGE, NOT_UTF8 = "files without an image extension", "files whose names are not UTF-8"
SCHEMA = pa.schema([("key", pa.string()), ("label", pa.string()), ("subset", pa.string())])


class ClassFolders:
    """``root/label/…/image.jpg``, or ``root/subset/label/…`` where all top folders are subset names
    (``validation`` is val, and so on: ``subset_names``).

    Images that lie directly in ``root`` have no label. Keys are paths relative to ``root``, with
    slashes; records are sorted by key. Links that lead out of ``root`` are not followed.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def listing(self) -> Listing:
        if not self.root.exists():
            raise UsageError(f"source {self.root} does not exist; expected a folder of class folders or a manifest")
        if not self.root.is_dir():
            raise UsageError(f"source {self.root} is a file, expected a folder of class folders")
        ignored: Counter[str] = Counter()
        keys = list(self._walk(ignored))
        if not keys:
            passed = "; ".join(f"{count} {why}" for why, count in ignored.items()) or "it is empty"
            raise UsageError(f"source {self.root} has no images ({passed}); expected {self.root}/LABEL/IMAGE.jpg")
        keys.sort()  # by code points, which is the order of their UTF-8
        return Listing(chunks=self._chunks(keys), records=len(keys), root=self.root, ignored=dict(ignored))

    def _chunks(self, keys: list[str]) -> Iterator[Chunk]:
        with_subsets = all_subsets(key.partition("/")[0] if "/" in key else "" for key in keys)
        root = str(self.root)
        for start in range(0, len(keys), CHUNK_ROWS):
            part = keys[start : start + CHUNK_ROWS]
            yield Chunk(annotations=annotate(part, with_subsets), images=[f"{root}/{key}" for key in part])

    def _walk(self, ignored: Counter[str]) -> Iterator[str]:
        """Keys in no order. A million files take seconds, so each costs no object but its entry and its key."""
        inside = self.root.resolve()
        folders = [""]
        while folders:
            folder = folders.pop()
            passed = "" if is_utf8(folder) else NOT_UTF8
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not entry.name.startswith("."):
                            folders.append(f"{folder}{entry.name}/")
                    elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112 - of a loop it says no
                        continue  # a link to a folder is neither a folder to walk nor a file
                    elif reason := _reason(entry, inside) or passed:
                        ignored[reason] += 1
                    else:
                        yield folder + entry.name


def _reason(entry: os.DirEntry[str], inside: Path) -> str:
    """Why a file is passed over; empty where it is not."""
    if entry.name.startswith(".") or not has_image_extension(entry.name):
        return NO_IMAGE
    if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(inside):
        return "links that lead outside"
    return "" if is_utf8(entry.name) else NOT_UTF8


def annotate(keys: list[str], with_subsets: bool) -> pa.Table:
    """Key, label and subset of records, as the keys' folders say."""
    columns = {"key": keys, **dict(zip(("label", "subset"), _folders(keys, with_subsets), strict=True))}
    return pa.table(columns, schema=SCHEMA)


def _folders(keys: list[str], with_subsets: bool) -> tuple[list[str | None], list[str | None]]:
    level = int(with_subsets)
    parts = [key.split("/", level + 1) for key in keys]
    labels = [folders[level] if len(folders) > level + 1 else None for folders in parts]
    return labels, [subset_called(folders[0]) if with_subsets else None for folders in parts]


def all_subsets(folders: Iterable[str]) -> bool:
    """Whether the top folders are all named after subsets."""
    return set(folders) <= set(ALL_NAMES)


def has_image_extension(name: str) -> bool:
    """Whether a file is called like an image."""
    stem, _, extension = name.rpartition(".")
    return bool(stem) and extension.lower() in EXTENSIONS


def is_utf8(text: str) -> bool:
    """Whether a name that came from the file system is text."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def image_folder(root: str | os.PathLike[str]) -> ClassFolders:
    """A folder of class folders as a source."""
    return ClassFolders(root)
