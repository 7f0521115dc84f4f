"""From a backbone's name to the backbone."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from ..errors import UsageError
from . import efficientnet_lite, timm_family, torchvision_family, transformers_family
from .backbone import Backbone
from .weights import Weights, parse_weights

_Loader = Callable[[str, Weights], Backbone]

# Exact names, and families: what stands before the first slash.
_NAMES: dict[str, _Loader] = dict.fromkeys(efficientnet_lite.NAMES, efficientnet_lite.load_efficientnet_lite)
_FAMILIES: dict[str, tuple[str, _Loader]] = {
    "torchvision": ("torchvision/<name>", torchvision_family.load_torchvision),
    "timm": ("timm/<name>", timm_family.load_timm),
    "transformers": ("transformers/<hub id or folder>", transformers_family.load_transformers),
}


def backbone_names() -> list[str]:
    """The names `load_backbone` takes, for help texts; families as ``family/<name>``."""
    return [*_NAMES, *(form for form, _ in _FAMILIES.values())]


def load_backbone(name: str, *, weights: str = "pretrained") -> Backbone:
    """Load a known network.

    Args:
        name: one of `backbone_names`, such as ``efficientnet_lite0`` or ``torchvision/resnet50``.
        weights: ``pretrained`` (fetched where the family fetches), ``random`` (fixed seed, fetches nothing)
            or the path of a .safetensors file with the network's whole state_dict.

    Raises:
        UsageError: unknown name or weights, a package that is missing, or weights that cannot be had.
    """
    chosen = parse_weights(weights)
    if name in _NAMES:
        return _NAMES[name](name, chosen)
    family, slash, rest = name.partition("/")
    if slash and rest and family in _FAMILIES:
        return _FAMILIES[family][1](rest, chosen)
    raise UsageError(f"no backbone is named {name!r}{_suggestion(name)}; there are {', '.join(backbone_names())}")


def _suggestion(name: str) -> str:
    family, slash, rest = name.partition("/")
    if slash:
        close = [f"{known}/{rest}" for known in difflib.get_close_matches(family, _FAMILIES, n=1)]
    else:
        close = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.8) or [f"torchvision/{name}", f"timm/{name}"]
    return f" (did you mean {' or '.join(close)}?)" if close and name else ""
