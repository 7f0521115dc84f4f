"""The test vectors: both implementations read the valid ones alike and refuse the invalid ones for the same reason."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hapistore.catalog import verify_store
from hapistore.stores import open_store
from hapistore_format import (
    AnnotationShard,
    DatasetVersion,
    FeatureShardReader,
    FileSeal,
    FormatError,
    ImageShard,
    ImageShardReader,
    LmdbImageShard,
    Recipe,
    codec_names,
    file_digest,
    read_sealed_json,
    read_weights,
)
from hapistore_format.errors import DamagedError
from hapistore_format.sealed_json import canonical_json, check_format

FORMAT = Path(__file__).resolve().parents[2] / "format"
VECTORS = FORMAT / "vectors"
INDICES = {part: json.loads((VECTORS / f"{part}.json").read_text("utf-8")) for part in ("valid", "invalid")}
VALID, INVALID = (INDICES[part]["vectors"] for part in ("valid", "invalid"))
OURS = ("hapistore", "hapistore_format", "hapistore_torch")
WRITING = {"not-finite", "out-of-range"}
