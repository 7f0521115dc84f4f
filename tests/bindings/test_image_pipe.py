"""ImagePipe: the same for images, decoded."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import hapistore as hs
from hapistore.errors import HapistoreError, ImageError
from hapistore.images import decode_rgb
from hapistore.read import image_reader
from hapistore_torch import ImagePipe

PREPROCESS = hs.Preprocess(resize_px=32, crop_px=(24, 24), mean_levels=(0, 0, 0), std_levels=(1, 1, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """60 images of different sizes whose grey level is their number."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(60):
        kind = folder / "in" / ("even", "odd")[number % 2]
        kind.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + number, 50), (number, number, number)).save(kind / f"{number:02}.png")
    store = hs.open_store(folder / "store")
    hs.ingest(store, "greys", hs.image_folder(folder / "in"), hs.IngestOptions(shard_bytes=2000))
    return store


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_every_image_once_with_its_label(store, workers, context):
    if not workers and context != "fork":
        return
    pipe = ImagePipe(store, "greys", preprocess=PREPROCESS, batch_size=7)
    loader = DataLoader(
        pipe, batch_size=None, num_workers=workers, multiprocessing_context=context if workers else None
    )
    seen = []
    for images, labels in loader:
        assert images.dtype == torch.uint8
        assert images.shape[1:] == (24, 24, 3)
        assert torch.equal(labels, images[:, 0, 0, 0].long() % 2)
        seen += images[:, 0, 0, 0].tolist()
    assert sorted(seen) == list(range(60))
    assert pipe.classes == ("even", "odd")


def test_without_preprocessing_images_keep_their_size(store):
    for images, _ in ImagePipe(store, "greys", batch_size=7):
        for image in images:
            assert image.shape == (50, 40 + int(image[0, 0, 0]), 3)


def test_single_images(store):
    pipe = ImagePipe(store, "greys", batch_size=7, batched=False)
    samples = list(pipe)
    assert len(samples) == len(pipe) == 60
    assert all(int(label) == int(image[0, 0, 0]) % 2 for image, label in samples)


def test_an_image_that_cannot_be_decoded_is_named(store, monkeypatch):
    """Most are found when they are ingested; this one is decodable there and not here, as with another library."""

    def decode(data):
        image = decode_rgb(data)
        if image.width == 40 + 33:
            raise ImageError("undecodable", "it is broken")
        return image

    monkeypatch.setattr(image_reader, "decode_rgb", decode)
    seen = []

    def read():
        for images, _ in ImagePipe(store, "greys", batch_size=7, shuffle="none"):
            seen.extend(int(image[0, 0, 0]) for image in images)

    with pytest.raises(HapistoreError, match=r"row \d of image shard [0-9a-f]{64} of greys@1: .*it is broken"):
        read()
    assert seen  # whole training batches before it
    assert len(seen) % 7 == 0
    assert 33 not in seen
