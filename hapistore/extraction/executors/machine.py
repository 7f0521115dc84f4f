"""What a measurement holds for: this machine, with what is installed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import torch

from .candidates import cores

_PACKAGES = ("hapistore", "torch", "openvino", "onnxruntime", "onnx", "onnxscript", "numpy")


def machine() -> dict[str, Any]:
    """Plain data: the processor, how much of it may be used, and the versions of what computes."""
    return {"cpu": _cpu_name(), "cores": cores(), "threads": torch.get_num_threads(), "versions": _versions()}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = installed_version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
