"""SHA-256 of many images by one call, without the interpreter: OpenSSL's, which ``hashlib`` asks an image at a time."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import llvmlite.binding
import numpy as np
from numba import types

from hapistore_format.codecs.jit import jit

_SYMBOL = "hapistore_sha256"
_sha256: Any = types.ExternalFunction(_SYMBOL, types.intp(types.intp, types.uint64, types.intp))


def _find() -> bool:
    """Make OpenSSL's ``SHA256`` known to kernels, where Python's own module is linked to it and shows it."""
    try:
        import _hashlib

        address = ctypes.cast(ctypes.CDLL(_hashlib.__file__).SHA256, ctypes.c_void_p).value
    except (ImportError, OSError, AttributeError):  # a Python that has it built in, or hashes by itself
        return False
    llvmlite.binding.add_symbol(_SYMBOL, address)
    return True


_FOUND = _find()


def hash_images(data: np.ndarray, places: np.ndarray, sizes: np.ndarray) -> list[bytes]:
    """SHA-256 of each image.

    Args:
        data: uint8; places, sizes: int64 [n]: where in it each image begins, and how long it is.

    Returns:
        32 bytes for each image; any bytes where a size is negative, which is no image.
    """
    digests = np.empty((len(places), 32), np.uint8)
    if not (_FOUND and _hash_all(data, places, sizes, digests)):
        for row, (place, size) in enumerate(zip(places.tolist(), sizes.tolist(), strict=True)):
            image = data[place : place + max(size, 0)].tobytes()
            digests[row] = np.frombuffer(hashlib.sha256(image).digest(), np.uint8)
    joined = digests.tobytes()
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


@jit
def _hash_all(data: np.ndarray, places: np.ndarray, sizes: np.ndarray, digests: np.ndarray) -> bool:
    """Whether OpenSSL did it."""
    done = True
    for row in range(len(places)):
        if sizes[row] >= 0:
            done &= _sha256(data.ctypes.data + places[row], sizes[row], digests[row].ctypes.data) != 0
    return done
