"""Where a figure was measured, recorded beside it; and medians with their spread."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hapistore

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("torch", "openvino", "numpy", "pyarrow", "numba", "pillow", "zstandard")


def environment(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Machine and versions, of these packages too."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "bf16_units": has_bf16(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {"hapistore": hapistore.__version__, **{name: version(name) for name in (*_PACKAGES, *packages)}},
    }


def has_bf16() -> bool:
    """Whether the processor computes in bfloat16; else what is asked for in it is computed in float32."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(Path("/proc/cpuinfo").read_text().split())


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest of repeated measurements."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "runs": len(values)}


def write_result(name: str, result: dict[str, Any], *, packages: Sequence[str] = ()) -> Path:
    """Write ``results/NAME.json`` with the environment, versions of these packages among it."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"environment": environment(packages), **result}, indent=1, sort_keys=True) + "\n")
    return path


def read_result(name: str) -> dict[str, Any]:
    """What ``write_result`` wrote."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return result


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
