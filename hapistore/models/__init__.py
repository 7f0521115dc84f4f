"""Backbones and their frozen prefixes: uint8 pixels in, float32 features out. torch lives in this room."""

from .backbone import Backbone
from .cut_points import Cut
from .cutting import TracedNetwork, cut, trace
from .onnx_export import onnx_program
from .prefix import Prefix
from .registry import backbone_names, load_backbone
from .tail import Tail
from .user_module import backbone_from_module

__all__ = [
    "Backbone",
    "Cut",
    "Prefix",
    "Tail",
    "TracedNetwork",
    "backbone_from_module",
    "backbone_names",
    "cut",
    "load_backbone",
    "onnx_program",
    "trace",
]
