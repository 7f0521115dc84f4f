"""A prefix as a program, in files without a name, written by this very process for a child of its own.

The child trusts what its parent wrote, as it trusts its arguments: nobody else can open these files, and once written
they are sealed (Linux), so that they stay what they are. Of what was stored or sent only ONNX programs come here, for
a confined child: loading an archive of torch.export may run code.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np

from .shared_array import open_unnamed

if TYPE_CHECKING:  # the child has no prefix, and need not import torch
    from ...models import AnyPrefix, OnnxPrefix, Prefix

Write: TypeAlias = "Callable[[Prefix, str, str], None]"
"""Writes a prefix's program, and its weights if they are apart, to two paths."""
Levels = tuple[tuple[float, ...], tuple[float, ...]]


class SavedProgram:
    """What an executor can be made from, in a process that has no prefix.

    Args:
        descriptors: of the program, and of its weights (an empty file where the program has them); closed with this.

    Attributes:
        pixel_shape, feature_shape: as of a prefix.
        levels: as of an `OnnxPrefix`, whose program takes normalised images; None: it takes pixels.
    """

    def __init__(
        self,
        descriptors: tuple[int, int],
        *,
        pixel_shape: tuple[int, ...],
        feature_shape: tuple[int, ...],
        levels: Levels | None = None,
    ) -> None:
        self.descriptors = descriptors
        self.pixel_shape, self.feature_shape = pixel_shape, feature_shape
        self.levels = levels
        self.close = weakref.finalize(self, _close, descriptors)
        """Lets go of the files. Twice is as good as once."""

    @classmethod
    def of(cls, prefix: Prefix, write: Write) -> SavedProgram:
        """Whatever ``write`` raises is raised: exporting runs the module's own code."""
        return cls._written(prefix, lambda program, weights: write(prefix, program, weights), None)

    @classmethod
    def of_onnx(cls, prefix: OnnxPrefix) -> SavedProgram:
        """A program that somebody else wrote: for a confined child."""
        return cls._written(prefix, lambda program, _: _write(program, prefix.code), prefix.levels)

    @classmethod
    def _written(cls, prefix: AnyPrefix, write: Callable[[str, str], None], levels: Levels | None) -> SavedProgram:
        descriptors = open_unnamed("program", sealable=True), open_unnamed("weights", sealable=True)
        shapes = {"pixel_shape": prefix.pixel_shape, "feature_shape": tuple(prefix.feature_shape)}
        saved = cls(descriptors, **shapes, levels=levels)
        try:
            write(*map(_path, descriptors))
        except BaseException:
            saved.close()
            raise
        for descriptor in descriptors:
            _seal(descriptor)
        return saved

    @property
    def path(self) -> str:
        """The program's, as this process sees it."""
        return _path(self.descriptors[0])

    def open(self) -> BinaryIO:
        """The program, to be read."""
        return open(self.path, "rb")

    @cached_property
    def weights(self) -> np.ndarray:
        """uint8 [bytes] of the weights' file, mapped and not copied; writing to it changes nothing but itself.

        It is there as long as this object: what is made of it may point into it.
        """
        size = os.fstat(self.descriptors[1]).st_size
        return np.frombuffer(mmap.mmap(self.descriptors[1], size, access=mmap.ACCESS_COPY), np.uint8)


Source: TypeAlias = "Prefix | SavedProgram"
"""What executors are made from. Of an `OnnxPrefix` there is only the saved program, in a child."""


def _path(descriptor: int) -> str:
    return f"/dev/fd/{descriptor}"


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _seal(descriptor: int) -> None:
    if hasattr(fcntl, "F_ADD_SEALS"):
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)


def _close(descriptors: tuple[int, int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
