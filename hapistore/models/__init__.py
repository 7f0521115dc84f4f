"""Backbones and their frozen prefixes: uint8 pixels in, float32 features out. torch lives in this room."""

from .backbone import Backbone
from .prefix import Prefix
from .registry import backbone_names, load_backbone
from .user_module import backbone_from_module

__all__ = ["Backbone", "Prefix", "backbone_from_module", "backbone_names", "load_backbone"]
