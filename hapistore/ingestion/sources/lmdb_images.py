"""An LMDB whose values are encoded images and whose keys are their names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hapistore_format.errors import FormatError
from hapistore_format.image_shard import MAX_IMAGE_BYTES
from hapistore_format.lmdb_file import LmdbFile

from ...errors import ImageError, UsageError
from .class_folders import all_subsets, annotate
from .keys import problem_of_key
from .protocol import CHUNK_ROWS, Chunk, Listing

DATA_FILE = "data.mdb"
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


class LmdbImages:
    """Records in order of their keys; of ``n01440764/10026.jpg`` the folder is the label, as in class folders.

    Keys such as ``__len__`` are passed over. Values that are pickles are refused: to read one runs code. Nothing may
    write to the environment meanwhile: it is read without locks.

    Args:
        path: the environment's folder, or its file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def listing(self) -> Listing:
        file = self._open()
        ignored: Counter[str] = Counter()
        keys = [key for key in file.keys() if self._is_used(key, ignored)]  # noqa: SIM118 - no mapping
        if not keys:
            passed = "; ".join(f"{count} {why}" for why, count in ignored.items()) or "it is empty"
            raise UsageError(f"source {self.path} has no images ({passed})")
        self._check_values(file, keys[0])
        with_subsets = all_subsets(key.partition(b"/")[0].decode() if b"/" in key else "" for key in keys)
        return Listing(
            chunks=self._chunks(file, keys, with_subsets), records=len(keys), root=self.path, ignored=dict(ignored)
        )

    def _open(self) -> LmdbFile:
        path = self.path / DATA_FILE if self.path.is_dir() else self.path
        if not path.is_file():
            raise UsageError(f"source {self.path} does not exist; expected an LMDB file, or a folder with {DATA_FILE}")
        try:
            return LmdbFile(path, where=str(path), whole=False)
        except FormatError as error:
            raise UsageError(f"source {error}") from error

    def _check_values(self, file: LmdbFile, key: bytes) -> None:
        value = file.get(key) or b""
        if value.startswith(_PICKLES):
            raise UsageError(
                f"source {self.path} has pickles as values, which run code when they are read; write the encoded "
                "images themselves (or a manifest of image files) with what made this LMDB"
            )

    @staticmethod
    def _is_used(key: bytes, ignored: Counter[str]) -> bool:
        if key.startswith(b"__") and key.endswith(b"__"):
            ignored["keys of metadata (__…__)"] += 1
            return False
        problem = problem_of_key(key.decode("utf-8", "surrogateescape"))
        if problem:
            ignored[f"keys that are {problem}"] += 1
        return problem is None

    def _chunks(self, file: LmdbFile, keys: list[bytes], with_subsets: bool) -> Iterator[Chunk]:
        left = iter(keys)
        while part := [*islice(left, CHUNK_ROWS)]:
            yield Chunk(
                annotations=annotate([key.decode() for key in part], with_subsets),
                images=[_Value(file, key) for key in part],
            )


class _Value:
    """One image, copied out when it is called for."""

    __slots__ = ("_file", "_key")

    def __init__(self, file: LmdbFile, key: bytes) -> None:
        self._file, self._key = file, key

    def __call__(self) -> bytes:
        data = self._file.get(self._key)
        if data is None:
            raise ImageError("unreadable-file", f"LMDB has no key {self._key!r:.200} any more")
        if len(data) > MAX_IMAGE_BYTES:
            raise ImageError("too-large", f"it has {len(data)} bytes, expected at most {MAX_IMAGE_BYTES}")
        return data


def lmdb_images(path: str | os.PathLike[str]) -> LmdbImages:
    """An LMDB of encoded images as a source."""
    return LmdbImages(path)
