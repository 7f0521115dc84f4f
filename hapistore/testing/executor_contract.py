"""What every executor must do."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from hapistore_format.recipe import PRECISIONS

from ..errors import OutOfMemory
from ..extraction.executors import EagerExecutor, Executor
from ..extraction.executors.agreement import compare
from ..models import Prefix

_LARGEST_BATCH = 9

# Runs a batch under a limit of the address space, then a small one, and says what became of them.
_LIMITED = """
import json, resource, sys
import numpy as np
from hapistore.errors import OutOfMemory
{script}
small = np.full((2, *pixels_shape), 100, np.uint8)
before = executor.run(small)
large = np.zeros(({images}, *pixels_shape), np.uint8)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {spare}, resource.RLIM_INFINITY))
try:
    executor.run(large)
    raised = ""
except Exception as error:
    raised = type(error).__name__
    print(error, file=sys.stderr)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps({{"raised": raised, "after": float(np.abs(executor.run(small) - before).max())}}))
"""


class ExecutorContract:
    """Inherit it, and give it fixtures ``prefix`` and ``executor``, made for that prefix::

        class TestMine(ExecutorContract):
            @pytest.fixture(scope="class")
            @classmethod
            def prefix(cls):
                return load_backbone("efficientnet_lite0").prefix("pool")

            @pytest.fixture(scope="class")
            @classmethod
            def executor(cls, prefix):
                return MyExecutor(prefix)

    Attributes:
        precision: what it is to be held to.
    """

    precision = "f32"

    @pytest.fixture(scope="class")
    @classmethod
    def prefix(cls) -> Prefix:
        raise NotImplementedError("give your class a fixture called prefix")

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix: Prefix) -> Executor:
        raise NotImplementedError("give your class a fixture called executor")

    @pytest.fixture(scope="class")
    @classmethod
    def pixels(cls, prefix: Prefix) -> np.ndarray:
        """uint8 [n, height, width, 3]: smooth random images, n of 9 or more. Better override it with photographs."""
        height, width, _ = prefix.preprocess.pixel_shape
        coarse = np.random.default_rng(0).integers(0, 256, (_LARGEST_BATCH, 8, 8, 3))
        rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
        return np.ascontiguousarray(coarse[:, rows][:, :, columns].astype(np.uint8))

    @pytest.fixture(scope="class")
    @classmethod
    def expected(cls, prefix: Prefix, pixels: np.ndarray) -> np.ndarray:
        return EagerExecutor(prefix).run(pixels)

    def test_says_what_it_is(self, executor: Executor) -> None:
        assert executor.precision == self.precision
        assert executor.precision in PRECISIONS
        assert executor.name
        assert executor.device

    def test_features_are_those_of_eager_float32(
        self, executor: Executor, pixels: np.ndarray, expected: np.ndarray
    ) -> None:
        found = executor.run(pixels)
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        assert found.flags.c_contiguous
        agreement = compare(found, expected)
        assert agreement.within(self.precision), str(agreement)

    def test_rows_come_in_order(self, executor: Executor, pixels: np.ndarray, expected: np.ndarray) -> None:
        """Some networks give all images nearly the same features, within the tolerance of bf16."""
        for size in (_LARGEST_BATCH, 3):
            found = executor.run(np.ascontiguousarray(pixels[:size])).reshape(size, 1, -1)
            distances = np.linalg.norm(found - expected.reshape(1, len(expected), -1), axis=2)
            assert distances.argmin(axis=1).tolist() == list(range(size))

    def test_rows_are_the_same_in_any_batch(self, executor: Executor, pixels: np.ndarray, expected: np.ndarray) -> None:
        for size in (1, 2, 5, 1, _LARGEST_BATCH):
            found = executor.run(np.ascontiguousarray(pixels[:size]))
            agreement = compare(found, expected[:size])
            assert agreement.within(self.precision), f"{size} images: {agreement}"

    def test_black_and_white_images(self, executor: Executor, prefix: Prefix) -> None:
        plain = np.zeros((2, *prefix.preprocess.pixel_shape), np.uint8)
        plain[1] = 255
        agreement = compare(executor.run(plain), EagerExecutor(prefix).run(plain))
        assert agreement.within(self.precision), str(agreement)

    def test_features_stay_as_they_were_given(self, executor: Executor, pixels: np.ndarray) -> None:
        first = executor.run(pixels[:3])
        kept = first.copy()
        executor.run(np.ascontiguousarray(pixels[3:6]))
        assert np.array_equal(first, kept)
        first[:] = 0  # they are the caller's
        assert np.array_equal(executor.run(pixels[:3]), kept)

    def test_pixels_are_left_alone(self, executor: Executor, pixels: np.ndarray) -> None:
        own = pixels[:3].copy()
        executor.run(own)
        assert np.array_equal(own, pixels[:3])

    def test_the_caller_may_write_to_the_pixels_afterwards(self, executor: Executor, pixels: np.ndarray) -> None:
        own = pixels[:4].copy()
        found = executor.run(own)
        kept = found.copy()
        own[:] = 0
        assert np.array_equal(found, kept)

    def test_runs_on_any_thread(self, executor: Executor, pixels: np.ndarray, expected: np.ndarray) -> None:
        found: list[np.ndarray] = []
        for _ in range(2):
            thread = threading.Thread(target=lambda: found.append(executor.run(pixels[:3])))
            thread.start()
            thread.join()
        assert len(found) == 2
        for features in found:
            agreement = compare(features, expected[:3])
            assert agreement.within(self.precision), str(agreement)

    def test_accounts_for_memory(self, executor: Executor, pixels: np.ndarray) -> None:
        executor.run(pixels[:1])
        idle = executor.idle_bytes()
        assert idle > 0
        executor.run(pixels)
        # In this order: looking takes memory too, a few pages, and the peak may be what is held still.
        idle = executor.idle_bytes()
        assert executor.peak_bytes() >= idle > 0
        assert executor.free_bytes() > 0

    def test_closing_twice_is_as_good_as_once(self, executor: Executor) -> None:
        """The last test: nothing runs after it."""
        executor.close()
        executor.close()


class OutOfMemoryContract:
    """Inherit it too where an executor takes its memory from the address space of its process.

    Attributes:
        limited_script: Python that makes ``executor`` and ``pixels_shape``, for a process whose memory runs out.
        limited_images, limited_spare_bytes: the batch that is too large, and the address space it has.
    """

    limited_script: str
    limited_images = 96
    limited_spare_bytes = 48 << 20

    def test_running_out_of_memory_is_an_error_that_leaves_it_whole(self) -> None:
        program = _LIMITED.format(
            script=self.limited_script, images=self.limited_images, spare=self.limited_spare_bytes
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["raised"] == OutOfMemory.__name__, found
        assert found["after"] == 0, found
