"""A prefix as OpenVINO's model: exported from torch, converted, and kept for the next process."""

from __future__ import annotations

import tempfile
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from ...models import Prefix
from .exporting import exported
from .openvino import core, import_openvino
from .program_cache import ProgramCache

_converted: weakref.WeakKeyDictionary[Prefix, Any] = weakref.WeakKeyDictionary()
_converting = threading.Lock()


def save_openvino(prefix: Prefix, program: str, weights: str) -> None:
    """Write a prefix's model, as XML and the weights apart."""
    openvino = import_openvino()
    with tempfile.TemporaryDirectory(prefix="hapistore-openvino-") as folder:
        named = Path(folder, "prefix.xml"), Path(folder, "prefix.bin")  # it wants these endings
        for name, path in zip(named, (program, weights), strict=True):
            name.symlink_to(path)
        openvino.save_model(converted(prefix), named[0], compress_to_fp16=False)


def converted(prefix: Prefix) -> Any:
    """The prefix as an OpenVINO model: uint8 [batch, height, width, 3] to features, any batch; made once in a process.

    Raises:
        UsageError: OpenVINO is not installed.
    """
    openvino = import_openvino()
    with _converting:
        model = _converted.get(prefix)
        if model is None:
            model = _converted[prefix] = _kept(openvino, prefix)
        return model


def _kept(openvino: Any, prefix: Prefix) -> Any:
    """As an earlier process left it, or converted, and left for the next."""
    cache = ProgramCache(prefix, "openvino")
    found = cache.load()
    if found is None:
        model = _convert(openvino, prefix)
        cache.save(lambda folder: openvino.save_model(model, folder / "prefix.xml", compress_to_fp16=False))
        found = cache.load()  # what was read back may differ in last bits from what was not: all shall have the same
        if found is None:
            return model
    program, weights = found
    return core().read_model(program, openvino.Tensor(np.frombuffer(weights, np.uint8)))


def _convert(openvino: Any, prefix: Prefix) -> Any:
    program = exported(prefix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about torch's own code
        model = openvino.convert_model(program)
    # The converter leaves every side open; only the batch shall be.
    model.reshape([-1, *prefix.pixel_shape])
    return model
