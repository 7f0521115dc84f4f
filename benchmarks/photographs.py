"""Photographs like ImageNet's: 500×375 crops of large ones (PyPI ``mvtb-data``), JPEG quality 95, 70 KB or more each."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, QUALITY, LEAST_BYTES, CLASSES = 500, 375, 95, 70_000, 100
_LARGE_BYTES = 900_000


def write_photographs(folder: Path, count: int, *, seed: int = 0) -> int:
    """Write class folders of ``count`` JPEGs; returns their bytes. A folder that is there is left as it is."""
    if folder.exists():
        return sum(path.stat().st_size for path in folder.rglob("*.jpg"))
    spec = find_spec("mvtbdata")
    if spec is None or spec.origin is None:
        raise SystemExit("this benchmark cuts its photographs from mvtb-data: pip install 'hapistore[bench]'")
    found = sorted(p for p in Path(spec.origin).parent.rglob("*.png") if p.stat().st_size > _LARGE_BYTES)
    large = [Image.open(path).convert("RGB") for path in found]
    areas = np.array([image.width * image.height for image in large], float)
    random = np.random.default_rng(seed)
    written = total = 0
    partial = folder.with_name(folder.name + ".partial")
    while written < count:
        data = _crop(large[random.choice(len(large), p=areas / areas.sum())], random)
        if len(data) < LEAST_BYTES:
            continue
        path = partial / f"class-{written % CLASSES:03d}" / f"{written:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written, total = written + 1, total + len(data)
    partial.rename(folder)
    return total


def _crop(image: Image.Image, random: np.random.Generator) -> bytes:
    """A random crop of random size, scaled, so that no two are alike."""
    scale = random.uniform(1.0, 1.6)
    width, height = min(image.width, round(WIDTH * scale)), min(image.height, round(HEIGHT * scale))
    left, top = random.integers(image.width - width + 1), random.integers(image.height - height + 1)
    crop = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    file = io.BytesIO()
    crop.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
