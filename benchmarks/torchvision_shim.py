"""Lets torchvision, and so timm, be imported beside a CPU build of torch, whose C++ operators it lacks.

Two schemas are all that its import asks for; the operators themselves stay out.
``python -m benchmarks.torchvision_shim`` is hapistore's command with it.
"""

from __future__ import annotations

import importlib
import sys

import torch

_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # the definitions go with the object


def import_torchvision() -> None:
    """Import it, with the schemas where it fails without."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in ("nms", "qnms"):
            _LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")


if __name__ == "__main__":
    from hapistore.cli import main

    import_torchvision()
    main()
