"""Backbones and their frozen prefixes: uint8 pixels in, float32 features out. torch lives in this room."""

from .backbone import Backbone
from .cut_points import Cut
from .cut_prefix import prefix_and_tail
from .cutting import TracedNetwork, cut, trace
from .known_preprocess import preprocess_for
from .onnx_export import onnx_program
from .onnx_prefix import AnyPrefix, OnnxPrefix
from .pixel_network import WholeNetwork, normalised
from .prefix import Prefix
from .rebuilding import is_rebuildable, rebuild_prefix
from .registry import backbone_names, load_backbone
from .tail import Tail
from .timing import seconds_at_cuts, training_seconds
from .user_module import backbone_from_module

__all__ = [
    "AnyPrefix",
    "Backbone",
    "Cut",
    "OnnxPrefix",
    "Prefix",
    "Tail",
    "TracedNetwork",
    "WholeNetwork",
    "backbone_from_module",
    "backbone_names",
    "cut",
    "is_rebuildable",
    "load_backbone",
    "normalised",
    "onnx_program",
    "prefix_and_tail",
    "preprocess_for",
    "rebuild_prefix",
    "seconds_at_cuts",
    "trace",
    "training_seconds",
]
