"""Where images come from. One small class a kind, behind one protocol."""

from .class_folders import ClassFolders, image_folder
from .manifest import Manifest, manifest
from .opening import open_source
from .protocol import Chunk, ImageRef, Listing, Source

__all__ = [
    "Chunk",
    "ClassFolders",
    "ImageRef",
    "Listing",
    "Manifest",
    "Source",
    "image_folder",
    "manifest",
    "open_source",
]
