"""What a store holds: datasets and their versions, recipes, views, and whether all of it is whole."""

from .datasets import (
    commit_version,
    dataset_names,
    highest_number,
    latest_version,
    open_version,
    parse_dataset,
    read_version,
    require_commits,
    resolve_version,
)
from .image_views import ImageView
from .images import StoredShard, open_image_shard, store_image_shard
from .inventory import FeatureSummary, codec_sizes, dataset_features
from .marker import ensure_marker, require_store
from .names import images_name
from .recipes import find_recipe, load_recipe, register_recipe
from .references import missing_objects, new_objects, require_stored, version_objects
from .transcoding import TranscodeResult, transcode
from .verifying import Damage, VerifyReport, verify_store
from .views import View, open_view

__all__ = [
    "Damage",
    "FeatureSummary",
    "ImageView",
    "StoredShard",
    "TranscodeResult",
    "VerifyReport",
    "View",
    "codec_sizes",
    "commit_version",
    "dataset_features",
    "dataset_names",
    "ensure_marker",
    "find_recipe",
    "highest_number",
    "images_name",
    "latest_version",
    "load_recipe",
    "missing_objects",
    "new_objects",
    "open_image_shard",
    "open_version",
    "open_view",
    "parse_dataset",
    "read_version",
    "register_recipe",
    "require_commits",
    "require_store",
    "require_stored",
    "resolve_version",
    "store_image_shard",
    "transcode",
    "verify_store",
    "version_objects",
]
