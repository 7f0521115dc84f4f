"""Size and speed of the codecs beside general compressors, on real features: ``python -m benchmarks.codecs``.

One process and one thread; every round decodes with each codec once, in turn, into one array that all share. Ours
are whole feature shards in memory (seal checked when opened, not timed); peers get blocks of up to 1,024 rows. Rates
are of float32 made or taken. Needs ``pip install '.[bench,dev]'``. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import hapistore as hs
from hapistore.demo.photographs import write_manifest
from hapistore_format import FeatureShardReader, codec_names, get_codec, write_feature_shard
from hapistore_format.codecs.axes import ChannelAxes

from .codec_peers import Block, Peer, peers
from .environment import spread, write_result
from .torchvision_shim import import_torchvision

_BLOCK_ROWS = 1024
_SETS = {
    # name: (backbone, cut, weights, photographs)
    "pooled": ("efficientnet_lite0", "pool", "pretrained", 2624),
    "map": ("efficientnet_lite0", "map", "pretrained", 400),
    "tokens": ("timm/vit_small_patch16_224", "map", "random", 400),
}
_GATHER_ROWS, _GATHER_CHANNELS, _GATHER_BATCH, _GATHER_BATCHES = 1_000_000, 1280, 256, 400


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
    def encode(x: np.ndarray) -> Block:
        data = write_feature_shard(x, codec=codec, recipe="0" * 64, images="0" * 64, provenance={})
        return bytes(data), FeatureShardReader(data, where=codec)

    return Peer(encode, lambda block, out: block[1].features(out))


def measure(x: np.ndarray, rounds: int) -> dict[str, dict[str, object]]:
    """Each codec's bytes a row, errors, and rates in GB/s of float32."""
    ours = {name: _ours(name) for name in codec_names()}
    out = np.empty_like(x)
    ours["u8c"].decode(ours["u8c"].encode(x), out)
    candidates = {**ours, **peers(float(np.abs(out - x).max()))}
    results: dict[str, dict[str, object]] = {}
    blocks: dict[str, list[tuple[Block, np.ndarray]]] = {}
    for name, codec in candidates.items():
        rows = len(x) if name in ours else _BLOCK_ROWS
        starts = range(0, len(x), rows)
        started = time.perf_counter()
        encoded = [codec.encode(x[i : i + rows]) for i in starts]
        encode_s = time.perf_counter() - started
        blocks[name] = list(zip(encoded, (out[i : i + rows] for i in starts), strict=True))
        decode_all(codec, blocks[name])
        error = np.abs(out - x)
        results[name] = {
            "bytes_per_row": sum(len(block[0]) for block in encoded) / len(x),
            "largest_error": float(error.max()),
            "rms_error": float(np.sqrt(np.square(error, dtype=np.float64).mean())),
            "encode_gb_s": x.nbytes / encode_s / 1e9,
            "ours": name in ours,
        }
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, codec in candidates.items():
            started = time.perf_counter()
            decode_all(codec, blocks[name])
            rates[name].append(x.nbytes / (time.perf_counter() - started) / 1e9)
    for name, values in rates.items():
        results[name]["decode_gb_s"] = spread(values)
    return results


def decode_all(codec: Peer, blocks: list[tuple[Block, np.ndarray]]) -> None:
    """Every block into its place."""
    for block, out in blocks:
        codec.decode(block, out)


def measure_gather(rounds: int) -> dict[str, dict[str, float]]:
    """Random rows of an uncompressed shard of a million, in training batches into a ring of eight buffers.

    Returns:
        GB/s of float32, of hapistore's gather and of numpy's way to the same values.
    """
    random = np.random.default_rng(0)
    rates: dict[str, list[float]] = {}
    for spec in ("u8c", "f16", "bf16"):
        quantiser, axes = get_codec(spec).quantiser, ChannelAxes.of((_GATHER_CHANNELS,))
        few = random.normal(size=(4096, _GATHER_CHANNELS)).astype(np.float32)
        params = quantiser.fit(few, axes)
        stored = np.resize(quantiser.quantise(few, axes, params), (_GATHER_ROWS, _GATHER_CHANNELS))
        ring = np.zeros((8, _GATHER_BATCH, _GATHER_CHANNELS), np.float32)
        for _ in range(rounds):
            order = random.permutation(_GATHER_ROWS)[: _GATHER_BATCH * _GATHER_BATCHES].reshape(_GATHER_BATCHES, -1)
            started = time.perf_counter()
            for number, rows in enumerate(order):
                quantiser.gather(stored, rows, axes, params, ring[number % 8])
            rates.setdefault(spec, []).append(order.size * _GATHER_CHANNELS * 4 / (time.perf_counter() - started) / 1e9)
            if spec == "u8c":
                scale, zero = params
                started = time.perf_counter()
                for number, rows in enumerate(order):
                    np.multiply(stored[rows], scale, out=ring[number % 8])
                    ring[number % 8] += zero
                seconds = time.perf_counter() - started
                rates.setdefault("u8c, numpy", []).append(order.size * _GATHER_CHANNELS * 4 / seconds / 1e9)
    return {name: spread(values) for name, values in rates.items()}


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
    result = {"sets": sets, "gather_gb_s": measure_gather(rounds)}
    print(write_result("codecs", result, packages=["blosc2", "lz4", "pcodec", "zfpy"]))


if __name__ == "__main__":
    main()
