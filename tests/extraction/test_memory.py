"""The extraction batch follows the memory there is, and no row is lost when it runs out."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import hapistore as hs
from hapistore.errors import HapistoreError, OutOfMemory
from hapistore.extraction.batching import BatchRunner
from hapistore.extraction.executors.protocol import is_out_of_memory


class _Small:
    """An executor that holds at most ``capacity`` images and returns their first pixel."""

    name, device = "small", "here"

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.batches: list[int] = []

    def run(self, pixels):
        if len(pixels) > self.capacity:
            raise OutOfMemory(f"{len(pixels)} images are more than {self.capacity}")
        self.batches.append(len(pixels))
        return pixels[:, 0, 0, :].astype(np.float32)

    def peak_bytes(self):
        return 1000

    def idle_bytes(self):
        return 500

    def close(self):
        pass


def pixels(count):
    for number in range(count):
        yield np.full((2, 2, 3), number % 256, np.uint8)


@pytest.mark.parametrize("capacity", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("rows", [0, 1, 7, 200])
def test_running_out_of_memory_loses_no_row_and_keeps_the_order(capacity, rows):
    executor = _Small(capacity)
    runner = BatchRunner(executor, budget_bytes=10**9, max_batch=64)
    found = [int(row[0]) for _, batch in runner.run(pixels(rows)) for row in batch]
    assert found == [number % 256 for number in range(rows)]
    assert max(executor.batches, default=0) <= capacity


def test_an_image_that_never_fits_is_an_error_and_not_a_loop():
    runner = BatchRunner(_Small(0), budget_bytes=10**9, max_batch=64)
    with pytest.raises(HapistoreError, match="one image alone does not fit"):
        list(runner.run(pixels(3)))


def test_a_budget_below_one_image_is_an_error_with_the_numbers(store, prefix):
    options = hs.ExtractOptions(memory_bytes=50 << 20, executor="torch")
    with pytest.raises(HapistoreError, match=r"budget is 50 MiB, and one image takes .* give --memory of at least"):
        hs.extract(store, "mixed", prefix, options=options)
    assert not any(store.list("features/"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("could not create a memory descriptor for blocked memory"), False),
        (
            RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive"),
            False,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_what_is_known_to_be_about_memory(error, expected):
    assert is_out_of_memory(error) is expected


_LIMITED = """
import json, resource, sys
import numpy as np
import hapistore as hs
from hapistore.extraction.batching import BatchRunner
from hapistore.extraction.executors import EagerExecutor

prefix = hs.load_backbone("efficientnet_lite0").prefix("map")
executor = EagerExecutor(prefix)
pixels = np.zeros((48, *prefix.preprocess.pixel_shape), np.uint8)
executor.run(pixels[:2])
def size():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = size() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
failed = ""
try:
    executor.run(pixels)
except hs.HapistoreError as error:
    failed = type(error).__name__
runner = BatchRunner(executor, budget_bytes=1 << 40, max_batch=64)
runner._search.batch = 48  # as if grown this far while there was more memory
rows = sum(len(batch) for _, batch in runner.run(iter(pixels)))
print(json.dumps({"whole_batch": failed, "rows": rows, "next_batch": runner._search.batch}))
"""


def test_real_allocation_failures_halve_the_batch(environment):
    """An address-space limit makes PyTorch's own allocator fail, as on a machine that is full."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(300 << 20)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["whole_batch"] == "OutOfMemory"
    assert result["rows"] == 48
    assert 1 <= result["next_batch"] < 48


_BUDGETED = """
import json, sys
import numpy as np
import hapistore as hs
from hapistore.extraction.batching import BatchRunner
from hapistore.extraction.executors import OpenVINOExecutor

prefix = hs.load_backbone("efficientnet_lite0").prefix("map")
executor = OpenVINOExecutor(prefix)
pixels = np.zeros((1, *prefix.preprocess.pixel_shape), np.uint8)
idle = executor.idle_bytes()
executor.run(pixels)
executor.run(pixels)
smallest = executor.peak_bytes()
budget = int(smallest * float(sys.argv[1]))
runner = BatchRunner(executor, budget_bytes=budget, max_batch=4096, aim="memory")
runner._search.idle_bytes = idle  # as if nothing had run yet
sizes = []
while not runner._search.settled:
    sizes.append(runner._search.batch)
    for _ in runner.run(iter(np.broadcast_to(pixels, (sizes[-1], *pixels.shape[1:])))):
        pass
print(json.dumps({"smallest": smallest, "budget": budget, "peak": runner.peak_bytes, "sizes": sizes}))
"""


@pytest.mark.parametrize("factor", [1.2, 2])
def test_a_real_network_fills_its_budget_and_no_more(environment, factor):
    """EfficientNet-Lite0 through OpenVINO, in a process of its own; four times as much: ``benchmarks/memory.py``."""
    done = subprocess.run(
        [sys.executable, "-c", _BUDGETED, str(factor)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["peak"] <= result["budget"]
    assert result["peak"] >= 0.85 * result["budget"]
    assert result["sizes"][0] == 1 and result["sizes"][-1] > 1


def test_peak_stays_within_the_budget(tmp_path, photographs, write_manifest, hapistore):
    """In a process of its own, since the budget is about the whole process, and with nothing known from other tests."""
    unknown = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    store = hs.open_store(tmp_path / "few")  # enough for batches of more than one
    hs.ingest(
        store, "mixed", hs.manifest(write_manifest(tmp_path / "few.csv", [(p, "cell") for p in photographs[:40]]))
    )
    probe = hapistore(
        "extract", "mixed", "--backbone", "efficientnet_lite0", "--cut", "map", "--codec", "f16",
        "--executor", "torch", "--max-batch", "1", "--store", store.url, "--json",
    )  # fmt: skip
    assert probe.returncode == 0, probe.stderr
    budget = int(json.loads(probe.stdout)["peak_bytes"] * 1.15)
    run = hapistore(
        "extract", "mixed", "--backbone", "efficientnet_lite0", "--codec", "f32",
        "--executor", "torch", "--memory", budget, "--store", store.url, "--json", variables=unknown,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["images"] == 40
    assert result["peak_bytes"] <= budget
    assert result["batch"] > 1
