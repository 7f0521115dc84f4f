"""Images at which a network fails or crashes, through a whole extraction, and mended afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hapistore as hs
from hapistore.errors import HapistoreError

# The operators live in a module that other processes can import too.
sys.path.append(str(Path(__file__).parent))
from fragile_networks import CRASHES, RAISES, Fragile

ROWS = 9
MAGIC = {3: RAISES, 5: CRASHES}
PREPROCESS = hs.Preprocess(resize_px=8, crop_px=(8, 8), mean_levels=(0.0,) * 3, std_levels=(1.0,) * 3)


@pytest.fixture
def pictures():
    pixels = np.random.default_rng(1).integers(0, 200, (ROWS, 8, 8, 3), dtype=np.uint8)
    for number, level in MAGIC.items():
        pixels[number, 0, 0, 0] = level
    return pixels


@pytest.fixture
def store(tmp_path, pictures, write_manifest):
    paths = [tmp_path / f"{number}.png" for number in range(ROWS)]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(pixels).save(path)
    table = write_manifest(tmp_path / "noise.csv", [(path, "x") for path in paths])
    store = hs.open_store(tmp_path / "store")
    hs.ingest(store, "noise", hs.manifest(table))
    return store


def fragile_prefix(*, mended: bool):
    network = Fragile()
    network.mended = mended  # the recipe stays the same
    return hs.backbone_from_module(network, name="fragile", preprocess=PREPROCESS, program="fragile 1").prefix()


def rows_of(store) -> dict[int, np.ndarray]:
    (batch,) = hs.FeatureReader(hs.open_view(store, "noise"), hs.ReadOptions(shuffle="none")).epoch(0)
    return dict(zip(batch.rows.tolist(), batch.features, strict=True))


@pytest.mark.usefixtures("children_know_operators")
def test_their_rows_are_left_out_until_they_are_tried_again(store, pictures):
    options = {"executor": "torch", "child": True}
    first = hs.extract(
        store, "noise", fragile_prefix(mended=False), codecs=["f32"], options=hs.ExtractOptions(**options)
    )
    assert [(image.key, image.reason) for image in first.left_out] == [
        ("0003/3.png", "failed"),
        ("0005/5.png", "crashed"),
    ]
    assert all(image.detail for image in first.left_out)
    assert first.restarts >= 2
    expected = 1.5 * pictures.mean(axis=(1, 2))
    rows = rows_of(store)
    assert sorted(rows) == [row for row in range(ROWS) if row not in MAGIC]
    for row, features in rows.items():
        np.testing.assert_allclose(features, expected[row], rtol=1e-5)

    mended = fragile_prefix(mended=True)
    again = hs.extract(store, "noise", mended, codecs=["f32"], options=hs.ExtractOptions(executor="torch"))
    assert (again.images, len(again.left_out)) == (0, 2)
    retry = hs.ExtractOptions(executor="torch", retry_bad=True)
    retried = hs.extract(store, "noise", mended, codecs=["f32"], options=retry)
    assert (retried.recipe, retried.images, retried.left_out) == (first.recipe, ROWS, ())
    np.testing.assert_allclose(np.stack(list(rows_of(store).values())), expected, rtol=1e-5)
    assert hs.extract(store, "noise", mended, codecs=["f32"], options=retry).images == 0


def test_where_every_image_fails_it_is_not_the_images(store, tmp_path, pictures, write_manifest):
    paths = [tmp_path / f"again{number}.png" for number in range(ROWS)]
    for number, path in enumerate(paths):
        pixels = pictures[number].copy()
        pixels[0, 0, 0] = RAISES
        Image.fromarray(pixels).save(path)
    table = write_manifest(tmp_path / "bad.csv", [(path, "x") for path in paths])
    hs.ingest(store, "bad", hs.manifest(table))
    with pytest.raises(HapistoreError, match=r"the first 8 images all fail with torch: ValueError: a network's own"):
        hs.extract(store, "bad", fragile_prefix(mended=False), options=hs.ExtractOptions(executor="torch"))
    assert not any(store.list("features/"))
