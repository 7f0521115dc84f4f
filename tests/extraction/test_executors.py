"""Every executor in every precision keeps the contract, on networks of three families."""

from __future__ import annotations

import numpy as np
import pytest

from hapistore.extraction.executors import (
    ChildExecutor,
    EagerExecutor,
    InductorExecutor,
    OnnxExecutor,
    OpenVINOExecutor,
    inductor,
)
from hapistore.extraction.executors.agreement import compare
from hapistore.testing.executor_contract import ExecutorContract, OutOfMemoryContract

_LIMITED_LITE0 = """
import hapistore as hs
from hapistore.extraction import executors
prefix = hs.load_backbone("efficientnet_lite0").prefix("map")
pixels_shape = prefix.preprocess.pixel_shape
executor = executors.{}
"""


class _OnNetworks(ExecutorContract):
    """On real photographs, by the networks that a class names."""

    @pytest.fixture(scope="class", params=["lite0", "resnet", "vit"])
    @classmethod
    def prefix(cls, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def pixels(cls, prefix, photographs, imagenet):
        paths = photographs[:4] + [path for path, _ in imagenet[:5]]
        return np.stack([prefix.preprocess(path.read_bytes()) for path in paths])


class TestTorch(_OnNetworks, OutOfMemoryContract):
    """It is what the others are compared with, so small networks do."""

    limited_script = _LIMITED_LITE0.format("EagerExecutor(prefix)")

    @pytest.fixture(scope="class", params=["resnet", "vit"])
    @classmethod
    def prefix(cls, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return EagerExecutor(prefix)


class TestTorchBf16(_OnNetworks):
    precision = "bf16"

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return EagerExecutor(prefix, "cpu", "bf16")


class TestOpenVINO(_OnNetworks, OutOfMemoryContract):
    limited_script = _LIMITED_LITE0.format("OpenVINOExecutor(prefix)")

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return OpenVINOExecutor(prefix)


class TestOpenVINOTwoStreams(_OnNetworks, OutOfMemoryContract):
    limited_script = _LIMITED_LITE0.format("OpenVINOExecutor(prefix, streams=2)")

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return OpenVINOExecutor(prefix, "f32", streams=2)


class TestOpenVINOBf16(_OnNetworks):
    precision = "bf16"

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return OpenVINOExecutor(prefix, "bf16")


class TestOpenVINOBf16TwoStreams(TestOpenVINOBf16):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return OpenVINOExecutor(prefix, "bf16", streams=2)


class TestOnnx(_OnNetworks, OutOfMemoryContract):
    limited_script = _LIMITED_LITE0.format("OnnxExecutor(prefix)")

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return OnnxExecutor(prefix)


class _InAChild(_OnNetworks):
    """What is told of memory, order and precision holds through another process as well."""

    label = ""

    @pytest.fixture(scope="class", params=["resnet"])
    @classmethod
    def prefix(cls, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return ChildExecutor(prefix, cls.label, cls.precision)


class TestTorchBf16InAChild(_InAChild):
    label, precision = "torch", "bf16"


class TestOpenVINOInAChild(_InAChild):
    label = "openvino 2 streams"


class TestOnnxInAChild(_InAChild):
    label = "onnx"


@pytest.mark.skipif(bool(inductor.missing()), reason=f"Inductor: {inductor.missing()}")
class TestInductor(_OnNetworks):
    """On a network of each kind and precision: each takes long to compile."""

    @pytest.fixture(scope="class", params=["resnet"])
    @classmethod
    def prefix(cls, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return InductorExecutor(prefix)

    def test_more_than_it_computes_at_once(self, prefix, pixels, expected):
        executor = InductorExecutor(prefix)  # the contract has closed the other
        found = executor.run(np.ascontiguousarray(np.resize(pixels, (37, *pixels.shape[1:]))))
        assert len(found) == 37
        assert compare(found[:9], expected).within(self.precision)
        assert compare(found[27:36], expected).within(self.precision)


@pytest.mark.skipif(bool(inductor.missing()), reason=f"Inductor: {inductor.missing()}")
class TestInductorBf16(_OnNetworks):
    precision = "bf16"

    @pytest.fixture(scope="class", params=["vit"])
    @classmethod
    def prefix(cls, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, prefix):
        return InductorExecutor(prefix, "bf16")
