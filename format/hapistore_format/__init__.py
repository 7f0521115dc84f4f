"""The hapistore format: what the bytes of a store mean. Knows numpy, Arrow and LMDB; no torch.

The specification beside this package (``format/*.md``) is the reference; this is one implementation.
"""

from .annotations import SUBSETS, AnnotationShard, write_annotations
from .augmentation import Augmentation
from .codecs import Codec, codec_names, get_codec
from .digests import file_digest, is_digest, record_digest, shard_digest
from .errors import DamagedError, FormatError, HapistoreError
from .expiry import Expiry
from .feature_shard import (
    FeatureHeader,
    FeatureShardReader,
    read_feature_header,
    write_decoded_shard,
    write_feature_shard,
)
from .file_seal import FileSeal
from .image_shard import ImageRecord, ImageShard
from .image_shard_arrow import ImageShardReader, write_image_shard
from .image_shard_lmdb import LmdbImageShard, LmdbShardFile, write_lmdb_image_shard
from .missing_rows import MissingRow
from .recipe import Recipe
from .sealed_json import read_sealed_json, write_sealed_json
from .version import LAYOUTS, DatasetVersion, ShardRef
from .weights import read_weights, write_weights

FORMAT_VERSION = 1

__all__ = [
    "FORMAT_VERSION",
    "LAYOUTS",
    "SUBSETS",
    "AnnotationShard",
    "Augmentation",
    "Codec",
    "DamagedError",
    "DatasetVersion",
    "Expiry",
    "FeatureHeader",
    "FeatureShardReader",
    "FileSeal",
    "FormatError",
    "HapistoreError",
    "ImageRecord",
    "ImageShard",
    "ImageShardReader",
    "LmdbImageShard",
    "LmdbShardFile",
    "MissingRow",
    "Recipe",
    "ShardRef",
    "codec_names",
    "file_digest",
    "get_codec",
    "is_digest",
    "read_feature_header",
    "read_sealed_json",
    "read_weights",
    "record_digest",
    "shard_digest",
    "write_annotations",
    "write_decoded_shard",
    "write_feature_shard",
    "write_image_shard",
    "write_lmdb_image_shard",
    "write_sealed_json",
    "write_weights",
]
