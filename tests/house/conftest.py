"""The three packages' files, and the floors' checker as a module."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
ROOTS = {"hapistore": REPOSITORY, "hapistore_format": REPOSITORY / "format", "hapistore_torch": REPOSITORY / "bindings"}


@pytest.fixture(scope="session")
def floors() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hapistore_floors", HERE / "floors.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def house(floors) -> dict[str, Path]:
    """Every module of the three packages, by name."""
    files = [(path, root) for package, root in ROOTS.items() for path in sorted((root / package).rglob("*.py"))]
    return {floors.module_name(path, root): path for path, root in files}
