"""transformers from a local folder: cuts, weights, preprocessing, and a name without the folder's path."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hapistore.errors import UsageError
from hapistore.models import load_backbone
from hapistore.models.transformers_preprocess import preprocess_from_config

transformers = pytest.importorskip("transformers")

VIT_CONFIG = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 32, "width": 32},
}


@pytest.fixture(scope="module")
def vit_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "tiny-vit"
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    torch.manual_seed(2)
    transformers.ViTModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(VIT_CONFIG))
    return folder


def test_pretrained_from_a_folder(vit_folder, pixels_for):
    backbone = load_backbone(f"transformers/{vit_folder}")
    pool, tokens = backbone.prefix(), backbone.prefix("tokens")
    assert (pool.feature_shape, tokens.feature_shape) == ((16,), (17, 16))
    reference = transformers.ViTModel.from_pretrained(vit_folder).eval()
    pixels = pixels_for(3, pool)
    images = (pixels.permute(0, 3, 1, 2).float() - 127.5) / 127.5
    with torch.inference_mode():
        expected = reference(pixel_values=images)
        torch.testing.assert_close(pool.module(pixels), expected.pooler_output)
        torch.testing.assert_close(tokens.module(pixels), expected.last_hidden_state)
    assert backbone.weights_name == "transformers weights (tiny-vit)"


def test_the_name_is_that_of_the_configuration_not_of_the_folder(vit_folder, tmp_path):
    elsewhere = tmp_path / "other-name"
    shutil.copytree(vit_folder, elsewhere)
    first = load_backbone(f"transformers/{vit_folder}").architecture
    assert load_backbone(f"transformers/{elsewhere}").architecture == first
    assert load_backbone(f"transformers/{elsewhere}", weights="random").architecture == first
    assert first.startswith("transformers/ViTModel-") and str(tmp_path) not in first
    config = json.loads((elsewhere / "config.json").read_text())
    (elsewhere / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    assert load_backbone(f"transformers/{elsewhere}", weights="random").architecture != first


def test_a_pooler_that_the_checkpoint_lacks_is_not_made_up(vit_folder, tmp_path, pixels_for):
    folder = tmp_path / "no-pooler"
    shutil.copytree(vit_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    backbone = load_backbone(f"transformers/{folder}")
    pool, tokens = backbone.prefix(), backbone.prefix("tokens")
    pixels = pixels_for(2, pool)
    with torch.inference_mode():
        torch.testing.assert_close(pool.module(pixels), tokens.module(pixels)[:, 0])
    assert not [name for name in pool.weights() if "pooler" in name]


def test_other_weights_that_the_checkpoint_lacks(vit_folder, tmp_path):
    folder = tmp_path / "half"
    shutil.copytree(vit_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("layernorm.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"1 tensors are missing \(layernorm.weight"):
        load_backbone(f"transformers/{folder}")


def test_weights_file_and_random(vit_folder, tmp_path):
    first = load_backbone(f"transformers/{vit_folder}", weights="random").prefix().weights()
    again = load_backbone(f"transformers/{vit_folder}", weights="random").prefix().weights()
    assert all(torch.equal(first[name], again[name]) for name in first)
    pretrained = load_backbone(f"transformers/{vit_folder}").prefix().weights()
    assert not all(torch.equal(first[name], pretrained[name]) for name in first)
    # Both the library's own file, whose tensors have names of old, and one written from a prefix.
    save_file(pretrained, tmp_path / "mine.safetensors")
    for file in (vit_folder / "model.safetensors", tmp_path / "mine.safetensors"):
        loaded = load_backbone(f"transformers/{vit_folder}", weights=str(file)).prefix().weights()
        assert set(loaded) == set(pretrained)
        assert all(torch.equal(pretrained[name], loaded[name]) for name in pretrained)


def test_a_weights_file_that_does_not_fit(vit_folder, tmp_path):
    tensors = load_file(vit_folder / "model.safetensors")
    save_file({**tensors, "layernorm.bias": torch.zeros(3)}, tmp_path / "shape.safetensors")
    save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="shape.safetensors does not fit"):
        load_backbone(f"transformers/{vit_folder}", weights=str(tmp_path / "shape.safetensors"))
    with pytest.raises(UsageError, match=r"other.safetensors for .*: \d+ tensors are missing"):
        load_backbone(f"transformers/{vit_folder}", weights=str(tmp_path / "other.safetensors"))


def test_pickled_weights_in_a_folder_are_refused(vit_folder, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(vit_folder, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="cannot be fetched"):
        load_backbone(f"transformers/{folder}")


def test_export_with_any_number_of_images(vit_folder, pixels_for):
    prefix = load_backbone(f"transformers/{vit_folder}", weights="random").prefix()
    dynamic = ({0: torch.export.Dim("n")},)
    graph = torch.export.export(prefix.module, (pixels_for(2, prefix),), dynamic_shapes=dynamic).module()
    pixels = pixels_for(5, prefix)
    torch.testing.assert_close(graph(pixels), prefix.module(pixels))


@pytest.mark.parametrize(
    ("change", "resize_px", "crop_px"),
    [
        ({}, (32, 32), (32, 32)),
        ({"size": 32}, (32, 32), (32, 32)),
        ({"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": 32}, 40, (32, 32)),
        ({"size": 40, "do_center_crop": True, "crop_size": {"height": 32, "width": 30}}, 40, (32, 30)),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 256, (224, 224)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), (384, 384)),
    ],
)
def test_sizes(change, resize_px, crop_px):
    found = preprocess_from_config({**VIT_CONFIG, **change}, "net")
    assert (found.resize_px, found.crop_px, found.interpolation) == (resize_px, crop_px, "bilinear")
    assert (found.mean_levels, found.std_levels) == ((127.5,) * 3, (127.5,) * 3)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"do_flip_channel_order": True}, "asks for do_flip_channel_order"),
        ({"size": {"shortest_edge": 40}}, "keeps the aspect ratio and does not crop"),
        ({"size": {"shortest_edge": 40, "longest_edge": 90}}, "expected height and width, or shortest_edge"),
        ({"resample": 5}, "resamples by filter 5"),
        ({"image_mean": None}, "does not say image_mean"),
        ({"image_mean": [0.5]}, "normalises 1 channels, expected 3"),
    ],
)
def test_preprocessing_without_a_counterpart(change, complaint):
    with pytest.raises(UsageError, match=complaint):
        preprocess_from_config({**VIT_CONFIG, **change}, "net")
