"""What a measurement holds for: this machine, with what is installed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = (
    "hapistore", "torch", "openvino", "onnxruntime", "onnx", "onnxscript", "numpy", "torchvision", "timm",
    "transformers",
)  # fmt: skip


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Plain data: the processor, how much of it may be used, and the versions of what computes."""
    return {"cpu": _cpu_name(), "cores": cores(), "threads": torch.get_num_threads(), "versions": versions()}


def versions() -> dict[str, str]:
    """Of what builds networks, converts and runs them, as far as it is installed."""
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
