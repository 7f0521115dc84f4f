"""Vision networks of the transformers library: from its hub, or from a local folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import UsageError
from .backbone import Backbone
from .packages import import_package
from .prefix import one_line
from .surgery import Wrapper
from .transformers_preprocess import preprocess_from_config
from .weights import Weights, build_on_cpu, fetching, read_weights_file

# What a configuration says of its origin or of a classifier's labels decides no feature.
_UNHASHED = {
    "_name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map", "dtype", "torch_dtype",
    "id2label", "label2id", "problem_type", "finetuning_task",
}  # fmt: skip
_PREPROCESSOR = "preprocessor_config.json"


class _Tokens(Wrapper):
    """float32 [n, 3, h, w] to last_hidden_state: [n, tokens, channels], or a map for convolutional networks."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.network(pixel_values=images).last_hidden_state
        return hidden


class _Pool(_Tokens):
    """float32 [n, 3, h, w] to [n, channels]: pooler_output, else the class token, else the mean."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self._has_class_token = any(name.endswith("cls_token") for name, _ in network.named_parameters())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs = self.network(pixel_values=images)
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is not None:
            return torch.flatten(pooled, 1)
        hidden: torch.Tensor = outputs.last_hidden_state
        if hidden.ndim == 4:
            return hidden.mean(dim=(2, 3))
        return hidden[:, 0] if self._has_class_token else hidden.mean(dim=1)


def load_transformers(source: str, weights: Weights) -> Backbone:
    """Load ``transformers/<hub id or local folder>``: cuts ``pool`` (default) and ``tokens``.

    Weights are read from safetensors only and no code from the hub is run. Random weights fetch nothing: the
    configuration must then be in a local folder or in the hub's cache.

    Raises:
        UsageError: transformers is not usable, the source has no configuration or weights, or its
            preprocessing is of a kind hapistore lacks.
    """
    transformers = import_package(
        "transformers", wanted_for=f"transformers/{source}", install="pip install transformers"
    )
    offline = weights.kind == "random"
    folder = _folder_of(source)
    name = f"transformers/{source}"
    instead = f"give a local folder with config.json and {_PREPROCESSOR}"
    if offline:
        instead += "; random weights fetch nothing"
    with fetching(name, "configuration", instead):
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=offline)
        hub = import_package("transformers.utils.hub", wanted_for=name, install="pip install transformers")
        preprocessor = hub.cached_file(folder, _PREPROCESSOR, local_files_only=offline)
    preprocess = preprocess_from_config(json.loads(Path(preprocessor).read_text(encoding="utf-8")), name)
    network = _build(transformers, folder, config, weights, name)
    return Backbone(
        architecture=_architecture(network, config),
        weights_name=weights.describe(f"transformers weights ({_shown(source)})"),
        preprocess=preprocess,
        cuts={"pool": lambda: _Pool(network), "tokens": lambda: _Tokens(network)},
        default_cut="pool",
    )


def _folder_of(source: str) -> str:
    """The source with ``~`` expanded; a path must be an existing folder, lest a typing error ask the hub.

    Raises:
        UsageError: it is written as a path and no folder is there.
    """
    expanded = str(Path(source).expanduser()) if source.startswith("~") else source
    if not Path(expanded).is_dir() and (source[0] in "./~\\" or source.count("/") > 1):
        raise UsageError(f"transformers/{source}: there is no folder {expanded}")
    return expanded


def _shown(source: str) -> str:
    # The name of a local folder, never its path: these words travel with the features.
    return Path(source).expanduser().resolve().name if Path(source).expanduser().is_dir() else source


def _build(transformers: Any, folder: str, config: Any, weights: Weights, name: str) -> nn.Module:
    """The network in float32. Of a model of images and text, its vision half.

    Raises:
        UsageError: it cannot be built, or its weights cannot be had or lack some of the network.
    """
    try:
        with torch.device("meta"):  # only to learn its class: nothing is allocated or initialised
            model_class = type(transformers.AutoModel.from_config(config))
    except Exception as error:  # a kind it lacks; or its imports fail, as beside a torchvision for another torch
        raise UsageError(f"transformers cannot build {name}: {one_line(error)}") from error
    if weights.kind == "random":
        network = build_on_cpu(lambda: transformers.AutoModel.from_config(config, dtype=torch.float32))
    else:
        network = _loaded(model_class, folder, config, weights, name)
    return _vision_half(network)


def _loaded(model_class: Any, folder: str, config: Any, weights: Weights, name: str) -> nn.Module:
    """The network with weights from its source or from a file.

    Both go through transformers, which knows the names that tensors had in files of its earlier versions.
    Tensors of heads may come along: they decide no feature.
    """
    options: dict[str, Any] = {"config": config, "dtype": torch.float32, "output_loading_info": True}
    reports: list[dict[str, Any]] = []

    def build(source: str | None, **more: Any) -> nn.Module:
        network, report = model_class.from_pretrained(source, **options, **more)
        reports.append(report)
        return network

    if weights.path is not None:
        tensors = read_weights_file(weights.path)
        try:
            network = build_on_cpu(lambda: build(None, state_dict=tensors))
        except Exception as error:  # shapes that differ, told in transformers' own table on stderr
            raise UsageError(f"{weights.path} does not fit {name}: {one_line(error)}") from error
    else:
        with fetching(name):
            network = build_on_cpu(lambda: build(folder, use_safetensors=True, trust_remote_code=False))
    return _without_missing_pooler(
        network, set(reports[0]["missing_keys"]), f"{weights.path or 'pretrained weights'} for {name}"
    )


def _without_missing_pooler(network: nn.Module, missing: set[str], what: str) -> nn.Module:
    """Drop a pooler whose weights are missing: transformers fills it with random numbers.

    Raises:
        UsageError: other weights are missing too.
    """
    rest = sorted(key for key in missing if not key.startswith("pooler."))
    if rest:
        raise UsageError(
            f"{what}: {len(rest)} tensors are missing ({', '.join(rest[:2])}{', …' if len(rest) > 2 else ''})"
        )
    if missing:
        setattr(network, "pooler", None)  # noqa: B010 - typed as a Module, and None is what disables it
    return network


def _vision_half(network: nn.Module) -> nn.Module:
    # Models of images and text hold both halves; models of images alone have no such attribute, or only it.
    half = getattr(network, "vision_model", None)
    return half if isinstance(half, nn.Module) else network


def _architecture(network: nn.Module, config: Any) -> str:
    """Class and digest of the configuration: the same from the hub, a cache or a folder of any name."""
    text = json.dumps(_hashed_part(config.to_diff_dict()), sort_keys=True, separators=(",", ":"), default=str)
    return f"transformers/{type(network).__name__}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _hashed_part(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _hashed_part(inner) for key, inner in value.items() if key not in _UNHASHED}
    if isinstance(value, (list, tuple)):
        return [_hashed_part(inner) for inner in value]
    return value
