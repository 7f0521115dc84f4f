"""The centre crop, of Pillow's images and of arrays, as torchvision cuts it."""

from __future__ import annotations

import numpy as np
from PIL import Image


def crop_centre(image: Image.Image, height: int, width: int) -> Image.Image:
    """The centre of an image, black where it is smaller."""
    left, top = crop_start(image.width, width), crop_start(image.height, height)
    # Pillow's crop pads with black where the box reaches outside.
    return image.crop((left, top, left + width, top + height))


def crop_pixels(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The same of an array: uint8 [height, width, 3], in one piece."""
    top, left = crop_start(pixels.shape[0], height), crop_start(pixels.shape[1], width)
    inside = pixels[max(top, 0) : top + height, max(left, 0) : left + width]
    if inside.shape[:2] == (height, width):
        return np.ascontiguousarray(inside)
    padded = np.zeros((height, width, 3), np.uint8)
    row, column = max(-top, 0), max(-left, 0)
    padded[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return padded


def crop_start(side: int, crop: int) -> int:
    """Where a crop of a side begins; below 0 where it is longer than that."""
    # As torchvision's center_crop: the start is rounded half to even, padding before the image is truncated.
    return round((side - crop) / 2) if side >= crop else -((crop - side) // 2)
