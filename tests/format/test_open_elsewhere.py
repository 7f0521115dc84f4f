"""Feature shards of the uncompressed codecs open in pandas, polars and DuckDB, with no hapistore at hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hapistore_format import write_feature_shard

SHAPE = (4, 3, 2)  # channels first
FEATURES = np.random.default_rng(3).normal(size=(1500, *SHAPE)).astype(np.float32)  # two blocks

PROGRAMS = {
    "pandas": """
import pandas
found = numpy.stack(pandas.read_feather(path)["features"])
""",
    "polars": """
import polars
found = polars.read_ipc(path)["features"].to_numpy()
""",
    "duckdb": """
import duckdb, pyarrow.ipc
shard = pyarrow.ipc.open_file(path).read_all()
found = numpy.array(duckdb.sql("select features from shard").fetchnumpy()["features"].tolist())
""",
}
CHECK = """
import sys, numpy
path, expected = sys.argv[1], numpy.load(sys.argv[2])
{program}
assert "hapistore_format" not in sys.modules
assert found.shape[0] == len(expected), found.shape
assert (found.reshape(expected.shape) == expected).all()
"""


# DuckDB has no half-precision floats, and refuses Arrow's.
@pytest.mark.parametrize(
    ("tool", "codec"),
    [(t, c) for t in PROGRAMS for c in ("f32", "f16", "bf16", "u8c", "u4c") if (t, c) != ("duckdb", "f16")],
)
def test_it_opens_elsewhere(tool, codec, tmp_path):
    data = write_feature_shard(FEATURES, codec=codec, recipe="0" * 64, images="1" * 64, provenance={})
    (tmp_path / "shard.arrow").write_bytes(data)
    np.save(tmp_path / "expected.npy", stored_values(codec))
    command = [sys.executable, "-c", CHECK.format(program=PROGRAMS[tool]), "shard.arrow", "expected.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def stored_values(codec: str) -> np.ndarray:
    """What the format's pages say is stored: [rows, values], of u4c [rows, bytes]."""
    x = FEATURES.reshape(len(FEATURES), -1)
    if codec == "f32":
        return x
    if codec == "f16":
        return x.astype(np.float16)
    if codec == "bf16":
        bits = x.view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    levels = {"u8c": 255, "u4c": 15}[codec]
    low, high = (f(FEATURES, axis=(0, 2, 3), keepdims=True).astype(np.float64) for f in (np.min, np.max))
    scale = (high - low) / levels
    up = np.nextafter(scale.astype(np.float32), np.float32(np.inf)).view(np.uint32)
    scale = ((up + 0xFFFF) & 0xFFFF0000).view(np.float32).astype(np.float64)  # a bfloat16, rounded up
    codes = np.rint((FEATURES - low) / scale).astype(np.uint8).reshape(len(x), -1)
    return codes if codec == "u8c" else codes[:, ::2] | (codes[:, 1::2] << 4)
