"""Which kind of source a path or URL is."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import UsageError
from ...stores.bucket import ObjectUrl, is_bucket_url
from .braces import expand_braces
from .bucket_folders import BucketFolders
from .class_folders import ClassFolders
from .image_columns import holds_images
from .lmdb_images import DATA_FILE, LmdbImages
from .manifest import Manifest
from .parquet_files import parquet
from .places import find_places
from .protocol import Source
from .saved_datasets import is_saved_dataset, saved_dataset
from .subset_from import SubsetFrom
from .webdataset_tars import WebDataset, is_tar

_TABLES = (".csv", ".jsonl", ".ndjson")
_LMDBS = (".mdb", ".lmdb")
KINDS = (
    "a folder of class folders, a .csv, .jsonl or .parquet manifest, WebDataset tars, Parquet files with images, a "
    "folder that save_to_disk wrote, an LMDB, or any of the first four as s3://…, gs://… or az://…"
)


@dataclass(frozen=True, kw_only=True)
class _Options:
    path_column: str | None = None
    label_column: str | None = None
    subset_column: str | None = None
    image_column: str | None = None
    image_extension: str | None = None


_Open = Callable[[str, _Options], Source]


def open_source(
    path: str | os.PathLike[str],
    *,
    path_column: str | None = None,
    label_column: str | None = None,
    subset_column: str | None = None,
    image_column: str | None = None,
    image_extension: str | None = None,
    subset_from: str | None = None,
) -> Source:
    """Open what a path, a pattern of paths or a URL names, by its name and by what lies there.

    Args:
        path_column, label_column, subset_column: of manifests; the last two of Parquet files as well, and of
            WebDataset, where they are members of ``.json``.
        image_column: of Parquet files and saved datasets.
        image_extension: of WebDataset.
        subset_from: see SubsetFrom.

    Raises:
        UsageError: it is of no kind, or an option does not go with its kind.
    """
    text = os.fspath(path)
    options = _Options(
        path_column=path_column,
        label_column=label_column,
        subset_column=subset_column,
        image_column=image_column,
        image_extension=image_extension,
    )
    kind, open_it, allowed = _in_bucket(text) if is_bucket_url(text) else _on_disk(text, options)
    for field in fields(options):
        if getattr(options, field.name) is not None and field.name not in allowed:
            raise UsageError(
                f"source {text} is {kind}, which has no --{field.name.replace('_', '-')}; columns can be named for "
                "manifests, Parquet files and WebDataset"
            )
    source = open_it(text, options)
    return SubsetFrom(source, subset_from) if subset_from else source


_Kind = tuple[str, _Open, frozenset[str]]


def _manifest(text: str, options: _Options) -> Source:
    return Manifest(
        text,
        path_column=options.path_column or "path",
        label_column=options.label_column,
        subset_column=options.subset_column,
    )


def _webdataset(text: str, options: _Options) -> Source:
    return WebDataset(
        text,
        image_extension=options.image_extension,
        label=options.label_column or "label",
        subset=options.subset_column or "subset",
    )


def _parquet(text: str, options: _Options) -> Source:
    return parquet(
        text,
        image_column=options.image_column,
        label_column=options.label_column,
        subset_column=options.subset_column,
    )


def _saved(text: str, options: _Options) -> Source:
    return saved_dataset(
        text,
        image_column=options.image_column,
        label_column=options.label_column,
        subset_column=options.subset_column,
    )


_COLUMNS = frozenset({"label_column", "subset_column"})
_MANIFEST: _Kind = ("a manifest", _manifest, _COLUMNS | {"path_column"})
_WEBDATASET: _Kind = ("WebDataset tars", _webdataset, _COLUMNS | {"image_extension"})
_PARQUET: _Kind = ("Parquet with images", _parquet, _COLUMNS | {"image_column"})
_SAVED: _Kind = ("a saved dataset", _saved, _COLUMNS | {"image_column"})
_LMDB: _Kind = ("an LMDB", lambda text, _: LmdbImages(text), frozenset())
_FOLDER: _Kind = ("a folder of class folders", lambda text, _: ClassFolders(text), frozenset())
_BUCKET: _Kind = ("a prefix of class folders", lambda text, _: BucketFolders(text), frozenset())


def _in_bucket(url: str) -> _Kind:
    name = expand_braces(ObjectUrl.parse(url).name)[0]
    several = name != ObjectUrl.parse(url).name
    if name.lower().endswith(_TABLES):
        return _MANIFEST
    if is_tar(name):
        return _WEBDATASET
    if name.lower().endswith(".parquet"):
        return _PARQUET
    if "*" in name or several:
        raise UsageError(f"source {url} is a pattern that names neither .tar nor .parquet")
    return _BUCKET


def _on_disk(text: str, options: _Options) -> _Kind:
    path = Path(text)
    if path.is_dir():
        return _of_folder(path)
    lower = (text if path.exists() else expand_braces(text)[0]).lower()
    if lower.endswith(_TABLES):
        return _MANIFEST
    if is_tar(lower):
        return _WEBDATASET
    if lower.endswith(".parquet"):
        return _MANIFEST if _has_no_images(text, options) else _PARQUET
    if lower.endswith(_LMDBS):
        return _LMDB
    if path.is_file():
        raise UsageError(
            f"source {text} is a file, expected a folder of class folders or a .csv or .jsonl manifest; "
            f"there are {KINDS}"
        )
    if glob.has_magic(text) or lower != text.lower():
        raise UsageError(f"source {text} is a pattern that names neither .tar nor .parquet")
    raise UsageError(f"source {text} does not exist; expected {KINDS}")


def _of_folder(path: Path) -> _Kind:
    if is_saved_dataset(path):
        return _SAVED
    if (path / DATA_FILE).is_file():
        return _LMDB
    for folder in (path, path / "data"):
        if folder.is_dir():
            names = [entry.name for entry in os.scandir(folder)]
            if any(name.lower().endswith(".parquet") for name in names):
                return _PARQUET
            if folder == path and any(map(is_tar, names)):
                return _WEBDATASET
    return _FOLDER


def _has_no_images(text: str, options: _Options) -> bool:
    """Whether a Parquet file is a manifest: one has a column of paths, and none of images."""
    if options.path_column or options.image_column:
        return bool(options.path_column)
    places = find_places(text)
    try:
        with places[0].open() as file:
            schema = pq.read_schema(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"source {places[0].name} cannot be read: {str(error).splitlines()[0]}") from error
    return "path" in schema.names and not any(holds_images(field.type) for field in schema)
