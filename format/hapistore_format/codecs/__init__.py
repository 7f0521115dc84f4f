"""Codecs: how a feature tensor becomes bytes.

A codec is a *quantiser* (``f32``, ``f16``, ``u8c``, ``u4c``), a *layout* (rows as they come, or channel by
channel under a compressor, where neighbours resemble each other) and a *compressor* (none, ``zstd``),
named by a short spec string such as ``u8c+zstd``.
"""

from .codec import Codec, codec_names, get_codec
from .quantisers import Quantiser

__all__ = ["Codec", "Quantiser", "codec_names", "get_codec"]
