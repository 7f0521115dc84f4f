"""Feature extraction as people write it: the script, and the ways of clip-retrieval and thingsvision.

Each takes files and a frozen network, and leaves float32 features on the disk. The two tools pin other versions of
torch than ours, so their loops are written here after them: how they load, batch, run and write; not their packages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset

from hapistore.models import Prefix

Extract = Callable[[Prefix, Sequence[Path], Path], None]


class Files(Dataset[torch.Tensor]):
    """Files through the prefix's own preprocessing: uint8 [height, width, 3] each."""

    def __init__(self, prefix: Prefix, files: Sequence[Path]) -> None:
        self._preprocess, self._files = prefix.preprocess, files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self._preprocess(self._files[index].read_bytes()).copy())


def plain_script(prefix: Prefix, files: Sequence[Path], target: Path) -> None:
    """``Dataset``, ``DataLoader(num_workers=2)``, eager float32, ``np.save``."""
    features = []
    with torch.inference_mode():
        for pixels in DataLoader(Files(prefix, files), batch_size=64, num_workers=2):
            features.append(prefix.module(pixels).numpy())
    np.save(target / "features.npy", np.concatenate(features))


def as_clip_retrieval(prefix: Prefix, files: Sequence[Path], target: Path) -> None:
    """Batches of 256 from two workers; features in partitions of .npy, each with a Parquet file of paths."""
    loader = DataLoader(Files(prefix, files), batch_size=256, num_workers=2, prefetch_factor=2, drop_last=False)
    done = 0
    for number, pixels in enumerate(loader):
        with torch.no_grad():
            features = prefix.module(pixels)
            features /= features.norm(dim=-1, keepdim=True)
        np.save(target / f"img_emb_{number}.npy", features.numpy())
        paths = [str(path) for path in files[done : done + len(pixels)]]
        pq.write_table(pa.table({"image_path": paths}), target / f"metadata_{number}.parquet")
        done += len(pixels)


def as_thingsvision(prefix: Prefix, files: Sequence[Path], target: Path) -> None:
    """Batches of 32 in the process itself; features by a forward hook, flattened, in one .npy."""
    features: list[np.ndarray] = []
    handle = prefix.module.register_forward_hook(
        lambda module, inputs, output: features.append(torch.flatten(output, 1).cpu().numpy())
    )
    try:
        with torch.no_grad():
            for pixels in DataLoader(Files(prefix, files), batch_size=32):
                prefix.module(pixels)
    finally:
        handle.remove()
    np.save(target / "features.npy", np.vstack(features))


PEERS: dict[str, Extract] = {
    "plain script": plain_script,
    "as clip-retrieval does": as_clip_retrieval,
    "as thingsvision does": as_thingsvision,
}
