"""Arrow batches with a column of encoded images, as Hugging Face and others write them, to records."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from ...errors import ImageError, UsageError
from .columns import Column, check_columns, is_text, label_column, metadata_column, plain, subset_column
from .protocol import Chunk, ImageRef
from .samples import failing

_USUAL_IMAGES = ("image", "img", "jpg", "png", "webp", "jpeg")
_USUAL_KEYS = ("key", "__key__", "id", "image_id", "filename", "file_name")


class ImageColumns:
    """What is what in a schema, and batches of it as chunks.

    Args:
        where: the source, for errors.
        image, label, subset, key: names of columns; an image column is found where there is just one, the others are
            ``label``, ``subset``, and the first of ``key``, ``__key__``, ``id`` … that is text.

    Raises:
        UsageError: there is no column of images, or several; or a column that was named is missing.
    """

    def __init__(
        self,
        schema: pa.Schema,
        where: str,
        *,
        image: str | None = None,
        label: str | None = None,
        subset: str | None = None,
    ) -> None:
        self._where = where
        for name in (image, label, subset):
            if name is not None and name not in schema.names:
                raise UsageError(f"{where} has no column {name!r}; it has {', '.join(schema.names)}")
        self.image = image or _find_image(schema, where)
        if not holds_images(schema.field(self.image).type):
            raise UsageError(
                f"{where}: column {self.image!r} is {schema.field(self.image).type}, expected encoded images: "
                "binary, or struct<bytes: binary, path: string>"
            )
        self.label, self.subset = label or "label", subset or "subset"
        check_columns(schema.names, {self.image, self.label, self.subset, "key"}, where)
        self._class_names = _class_names(schema, self.label)
        self.left_out = [f.name for f in schema if f.name != self.image and holds_images(plain_type(f.type))]
        self.key = next(
            (name for name in _USUAL_KEYS if name in schema.names and is_text(schema.field(name).type)), None
        )
        self.has_paths = _has_paths(schema.field(self.image).type)
        used = {self.image, self.label, self.subset, "key", *self.left_out}
        self._metadata = [name for name in schema.names if name not in used]
        self.wanted = [name for name in schema.names if name not in self.left_out]

    def chunk(self, batch: pa.RecordBatch, keys: list[str], *, subset: str | None, first_row: int) -> Chunk:
        """A batch with its keys.

        Args:
            subset: of all rows, where the batch has no column that says it.
            first_row: of the batch in its file, for errors.
        """
        columns: dict[str, Column] = {"key": pa.array(keys, pa.string())}
        names = batch.schema.names
        columns["label"] = (
            label_column(batch[self.label], self._where) if self.label in names else pa.nulls(batch.num_rows)
        )
        if self.subset in names:
            columns["subset"] = subset_column(batch[self.subset], self.subset, self._where, first_row=first_row)
        else:
            columns["subset"] = pa.array([subset] * batch.num_rows, pa.string() if subset else pa.null())
        for name in self._metadata:
            columns[name] = metadata_column(batch[name], name, self._where)
        if self._class_names and "label_name" not in columns:
            columns["label_name"] = pa.array(
                [self._name_of(number) for number in columns["label"].to_pylist()], pa.string()
            )
        return Chunk(annotations=pa.table(columns), images=self.images(batch))

    def images(self, batch: pa.RecordBatch) -> list[ImageRef]:
        """Images of a batch, its memory shared."""
        column = plain(batch[self.image])
        paths = None
        if pa.types.is_struct(column.type):
            paths = column.field("path") if self.has_paths else None
            column = pc_flatten(column, "bytes")
        views: list[ImageRef] = []
        for row, value in enumerate(column):
            buffer = value.as_buffer()
            if buffer is not None:
                views.append(memoryview(buffer).cast("B"))
            else:
                said = f"only the path {paths[row].as_py()!r:.200}" if paths is not None else "nothing"
                views.append(failing(ImageError("empty", f"the row has no bytes of an image, {said}")))
        return views

    def paths(self, batch: pa.RecordBatch) -> list[str | None]:
        """Where the images came from, as far as that is said."""
        if not self.has_paths:
            return [None] * batch.num_rows
        return pc_flatten(plain(batch[self.image]), "path").to_pylist()

    def _name_of(self, number: Any) -> str | None:
        known = isinstance(number, int) and 0 <= number < len(self._class_names)
        return self._class_names[number] if known else None


def pc_flatten(column: pa.StructArray, name: str) -> pa.Array:
    """A field of structs, null where the struct is."""
    return column.flatten()[column.type.get_field_index(name)]


def holds_images(kind: pa.DataType) -> bool:
    """Whether a column of this type may hold encoded images."""
    kind = plain_type(kind)
    if pa.types.is_struct(kind):
        names = {kind.field(number).name for number in range(kind.num_fields)}
        return "bytes" in names and names <= {"bytes", "path"} and _is_bytes(kind.field("bytes").type)
    return _is_bytes(kind)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Of an extension type, what it is stored as."""
    return plain_type(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _is_bytes(kind: pa.DataType) -> bool:
    checks: list[Callable[[pa.DataType], bool]] = [
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
    ]  # fmt: skip
    return any(check(kind) for check in checks)


def _has_paths(kind: pa.DataType) -> bool:
    kind = plain_type(kind)
    if not pa.types.is_struct(kind):
        return False
    number = kind.get_field_index("path")
    return number >= 0 and is_text(kind.field(number).type)


def _find_image(schema: pa.Schema, where: str) -> str:
    found = [field.name for field in schema if holds_images(field.type)]
    usual = [name for name in _USUAL_IMAGES if name in found]
    structs = [name for name in found if pa.types.is_struct(plain_type(schema.field(name).type))]
    for candidates in (usual, structs, found):
        if len(candidates) == 1:
            return candidates[0]
    if found:
        raise UsageError(f"{where} has images in {' and '.join(found)}; choose a column by --image-column")
    raise UsageError(f"{where} has no column of encoded images; it has {', '.join(schema.names)}")


def _class_names(schema: pa.Schema, label: str) -> list[str]:
    """Names of Hugging Face's ClassLabel, from what `datasets` writes into the schema."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return []
    try:
        names = json.loads(text)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []  # another label, or none
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
