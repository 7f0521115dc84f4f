"""A folder with one folder of images a class, optionally below ``train``, ``val`` and ``test``."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePosixPath

import pyarrow as pa

from hapistore_format import SUBSETS

from ...errors import UsageError
from .protocol import Listing, cut_chunks

EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif", ".jp2", ".j2k", ".tga", ".mpo",
})  # fmt: skip


class ClassFolders:
    """``root/label/…/image.jpg``, or ``root/subset/label/…`` where all top folders are subset names.

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
        keys, ignored = self._walk()
        if not keys:
            passed = "; ".join(f"{count} {why}" for why, count in ignored.items()) or "it is empty"
            raise UsageError(f"source {self.root} has no images ({passed}); expected {self.root}/LABEL/IMAGE.jpg")
        keys.sort(key=os.fsencode)
        with_subsets = self._top_folders(keys) <= set(SUBSETS) and all("/" in key for key in keys)
        rows = [_annotate(key, with_subsets) for key in keys]
        annotations = pa.table(
            {"key": keys, "label": [label for label, _ in rows], "subset": [subset for _, subset in rows]},
            schema=pa.schema([("key", pa.string()), ("label", pa.string()), ("subset", pa.string())]),
        )
        return Listing(
            chunks=cut_chunks(annotations, [self.root / key for key in keys]),
            records=len(keys),
            root=self.root,
            ignored=dict(ignored),
        )

    def _walk(self) -> tuple[list[str], Counter[str]]:
        keys: list[str] = []
        ignored: Counter[str] = Counter()
        inside = self.root.resolve()
        for folder, subfolders, files in os.walk(self.root):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in files:
                path = Path(folder, name)
                if name.startswith(".") or path.suffix.lower() not in EXTENSIONS:
                    ignored["files without an image extension"] += 1
                elif path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                    ignored["links that lead outside"] += 1
                elif not _is_utf8(name) or not _is_utf8(folder):
                    ignored["files whose names are not UTF-8"] += 1
                else:
                    keys.append(path.relative_to(self.root).as_posix())
        return keys, ignored

    @staticmethod
    def _top_folders(keys: list[str]) -> set[str]:
        return {key.partition("/")[0] for key in keys}


def _annotate(key: str, with_subsets: bool) -> tuple[str | None, str | None]:
    """Label and subset that a key's folders say."""
    folders = PurePosixPath(key).parts[:-1]
    subset = folders[0] if with_subsets else None
    rest = folders[1:] if with_subsets else folders
    return (rest[0] if rest else None), subset


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def image_folder(root: str | os.PathLike[str]) -> ClassFolders:
    """A folder of class folders as a source."""
    return ClassFolders(root)
