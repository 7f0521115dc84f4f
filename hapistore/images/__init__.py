"""Decoding and preprocessing: encoded image bytes in, uint8 pixels out. No torch in this room."""

from .changes import Change, ChangeOf, recolour
from .check import check_usual
from .decode import check_image, decode_rgb
from .header import read_header
from .image_header import ImageHeader
from .preprocess import DECODERS, Preprocess, with_decoder

__all__ = [
    "DECODERS",
    "Change",
    "ChangeOf",
    "ImageHeader",
    "Preprocess",
    "check_image",
    "check_usual",
    "decode_rgb",
    "read_header",
    "recolour",
    "with_decoder",
]
