"""Size and speed of the codecs beside general compressors, on real features: ``python -m benchmarks.codecs``.

One process and one thread; every round decodes with each codec once, in turn. Ours are whole feature
shards in memory (seal checked when opened, not timed); peers get the same blocks of rows. Rates are of
float32 made or taken. Needs ``pip install '.[bench,dev]'``. About five minutes on one core.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import hapistore as hs
from hapistore.demo.photographs import write_manifest
from hapistore_format import FeatureShardReader, codec_names, write_feature_shard

from .codec_peers import Peer, peers
from .environment import spread, write_result
from .torchvision_shim import import_torchvision

_BLOCK_ROWS = 1024
_SETS = {
    # name: (backbone, cut, weights, photographs)
    "pooled": ("efficientnet_lite0", "pool", "pretrained", 2624),
    "map": ("efficientnet_lite0", "map", "pretrained", 400),
    "tokens": ("timm/vit_small_patch16_224", "map", "random", 400),
}


def features_of(name: str) -> np.ndarray:
    """float32 [rows, *shape] of the ELPV photographs."""
    backbone, cut, weights, count = _SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "elpv.csv")
        write_manifest(table, seed=0)
        table.write_text("\n".join(table.read_text().splitlines()[: count + 1]))
        store = hs.open_store(Path(folder, "store"))
        hs.ingest(store, "elpv", hs.manifest(table))
        hs.extract(store, "elpv", hs.load_backbone(backbone, weights=weights).prefix(cut), codecs=["f32"])
        options = hs.ReadOptions(shuffle="none", batch_size=count)
        (batch,) = hs.FeatureReader(hs.open_view(store, "elpv"), options).epoch(0)
        return batch.features


def _ours(codec: str) -> Peer:
    def encode(x: np.ndarray) -> tuple[bytes, FeatureShardReader]:
        data = write_feature_shard(x, codec=codec, recipe="0" * 64, images="0" * 64, provenance={})
        return bytes(data), FeatureShardReader(data, where=codec)

    return Peer(encode, lambda block: block[1].features())


def measure(x: np.ndarray, rounds: int) -> dict[str, dict[str, object]]:
    """Each codec's bytes a row, largest error relative to its channel's span, and rates in GB/s of float32."""
    u8c_error = float(np.abs(_ours("u8c").decode(_ours("u8c").encode(x)) - x).max())
    candidates = {**{name: _ours(name) for name in codec_names()}, **peers(u8c_error)}
    results, blocks = {}, {}
    for name, codec in candidates.items():
        rows = len(x) if name in codec_names() else _BLOCK_ROWS
        started = time.perf_counter()
        blocks[name] = [codec.encode(x[i : i + rows]) for i in range(0, len(x), rows)]
        encode_s = time.perf_counter() - started
        decoded = np.concatenate([codec.decode(block) for block in blocks[name]])
        results[name] = {
            "bytes_per_row": sum(len(block[0]) for block in blocks[name]) / len(x),
            "largest_error": float(np.abs(decoded - x).max()),
            "encode_gb_s": x.nbytes / encode_s / 1e9,
            "ours": name in codec_names(),
        }
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, codec in candidates.items():
            started = time.perf_counter()
            for block in blocks[name]:
                codec.decode(block)
            rates[name].append(x.nbytes / (time.perf_counter() - started) / 1e9)
    for name, values in rates.items():
        results[name]["decode_gb_s"] = spread(values)
    return results


def main() -> None:
    """Measure every set and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    import_torchvision()
    sets = {}
    for name, (backbone, cut, weights, _) in _SETS.items():
        x = features_of(name)
        sets[name] = {
            "features": f"{backbone}:{cut}, {weights} weights",
            "shape": list(x.shape),
            "zeros": float((x == 0).mean()),
            "codecs": measure(x, rounds),
        }
        print(f"{name}: {x.shape} done")
    print(write_result("codecs", {"sets": sets}))


if __name__ == "__main__":
    main()
