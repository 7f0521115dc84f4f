"""Training batches as tensors, and their rows as samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, overload

import numpy as np
import torch

from hapistore import FeatureReader, ImageReader, ImageView, ObjectStore, Preprocess, ReadOptions, View


@overload
def feature_reader(view: View, options: ReadOptions, *, pin_memory: bool = False) -> Callable[[], FeatureReader]: ...
@overload
def feature_reader(
    view: View | ImageView, options: ReadOptions, *, pin_memory: bool = False
) -> Callable[[], FeatureReader | ImageReader]: ...
def feature_reader(
    view: View | ImageView, options: ReadOptions, *, pin_memory: bool = False
) -> Callable[[], FeatureReader | ImageReader]:
    """What opens a reader of a view's features, or of its images, in any process."""
    if isinstance(view, ImageView):
        return image_reader(view.store, view.version.label, view.preprocess, options)
    return partial(_open_feature_reader, view, options, pin_memory)


def _open_feature_reader(view: View, options: ReadOptions, pin_memory: bool) -> FeatureReader:
    return FeatureReader(view, options, allocate=_pinned) if pin_memory else FeatureReader(view, options)


def _pinned(size: int) -> np.ndarray:
    pinned: np.ndarray = torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()
    return pinned


def image_reader(
    store: ObjectStore, dataset: str, preprocess: Preprocess | None, options: ReadOptions
) -> Callable[[], ImageReader]:
    """What opens a reader of images, in any process."""
    return partial(ImageReader, store, dataset, options, preprocess=preprocess)


def as_tensors(batch: Any) -> Any:
    """``(inputs, targets)``; the inputs alone without targets; and a dictionary of further columns after them.

    Features as stored are a pair: the values, and whose parameters are theirs, for `Dequantise`.
    """
    inputs, targets, _, columns, _, _, *sources = batch
    found = [_tensor(inputs)]
    if sources and sources[0] is not None:
        found = [(found[0], torch.from_numpy(sources[0]))]
    if targets is not None:
        found.append(torch.from_numpy(targets))
    if columns:
        found.append({name: _column(values) for name, values in columns.items()})
    return found[0] if len(found) == 1 else tuple(found)


def _tensor(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        # Arrow's columns are read-only, which torch does not know.
        return torch.from_numpy(values if values.flags.writeable else values.copy())
    return [torch.from_numpy(value if value.flags.writeable else value.copy()) for value in values]


def _column(values: np.ndarray) -> Any:
    return values.tolist() if values.dtype.kind not in "biuf" else _tensor(values)


def samples(batch: Any) -> Iterator[Any]:
    """The rows of what ``as_tensors`` gave, one by one, in the same form."""
    if isinstance(batch, tuple):
        yield from map(tuple, zip(*map(samples, batch), strict=True))
    elif isinstance(batch, dict):
        yield from (dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True))
    else:
        yield from batch
