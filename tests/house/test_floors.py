"""Imports point down only, and torch stays where it belongs."""

from __future__ import annotations

import pytest

import hapistore


def test_every_file_keeps_the_floors(floors, house):
    assert len(house) > 60
    public = set(hapistore.__all__)
    found = []
    for module, path in house.items():
        found += floors.violations(
            path.read_text(encoding="utf-8"),
            module,
            is_package=path.name == "__init__.py",
            modules=set(house),
            public=public,
        )
    assert not found, "\n".join(found)


def test_every_folder_has_a_floor(floors, house):
    homeless = {module for module in house if floors.room_of(module) is None}
    assert not homeless


PLANTED = {
    "upwards": ("hapistore.stores.folder", "from ..catalog import View", "above"),
    "upwards in a function": ("hapistore.read.reader", "def f():\n    from ..extraction import extract", "above"),
    "upwards for types only": ("hapistore.catalog.views", "if T:\n    from ..read import FeatureReader", "above"),
    "upwards by its own package": ("hapistore.stores.folder", "from .. import catalog", "above"),
    "upwards by absolute name": ("hapistore.errors", "import hapistore.stores.folder", "above"),
    "the face from below": ("hapistore.ingestion.reading", "from hapistore import open_store", "above"),
    "sideways": ("hapistore.ingestion.reading", "from ..models import load_backbone", "one floor"),
    "sideways on the second floor": ("hapistore.images.decode", "from ..stores import open_store", "one floor"),
    "sideways at the top": ("hapistore.demo.running", "from ..cli import main", "one floor"),
    "the engine in the format": ("hapistore_format.codecs.codec", "from hapistore.errors import UsageError", "above"),
    "torch in the format": ("hapistore_format.weights", "import torch.nn", "torch lives"),
    "torch while reading": ("hapistore.read.reader", "def f():\n    import torch", "torch lives"),
    "torch in the command line": ("hapistore.cli.ls", "from torch import nn", "torch lives"),
    "a private door of the house": ("hapistore_torch.pipe", "from hapistore.read import FeatureReader", "public names"),
    "a name that is not public": ("hapistore_torch.pipe", "from hapistore import units", "public names"),
    "the module itself": ("hapistore_torch.pipe", "import hapistore", "public names"),
    "the format from a binding": ("hapistore_torch.pipe", "from hapistore_format import Recipe", "public names"),
    "what a room must not know": ("hapistore.models.prefix", "from ..stores import open_store", "must not know"),
    "a hidden import": ("hapistore.read.shards", "from importlib import import_module", "by name"),
    "a hidden import, whole": ("hapistore.read.shards", "import importlib", "by name"),
    "a new folder": ("hapistore.novelty.thing", "import os", "no room"),
    "from a new folder": ("hapistore.cli.main", "from ..novelty import thing", "no room"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_checker_reports_a_planted_violation(floors, house, name):
    module, source, expected = PLANTED[name]
    found = floors.violations(source, module, modules=set(house), public=set(hapistore.__all__))
    assert len(found) == 1
    assert module in found[0]
    assert expected in found[0]


ALLOWED = {
    "downwards": ("hapistore.extraction.shards", "from ..catalog.names import features_name"),
    "its own room": ("hapistore.read.reader", "from .order import SHUFFLES"),
    "torch among the models": ("hapistore.models.prefix", "import torch"),
    "a public name": ("hapistore_torch.pipe", "from hapistore import FeatureReader, View"),
    "another library": ("hapistore.read.reader", "import numpy as np"),
    "the demo from its verb": ("hapistore.cli.demo", "from ..demo import run_demo"),
    "a sibling by its package": ("hapistore.stores.folder", "from . import protocol"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_the_checker_is_silent_where_all_is_well(floors, house, name):
    module, source = ALLOWED[name]
    assert floors.violations(source, module, modules=set(house), public=set(hapistore.__all__)) == []


def test_relative_imports_of_a_package_start_in_it(floors, house):
    source = "from .folder import FolderStore"
    assert floors.violations(source, "hapistore.stores", is_package=True, modules=set(house), public=set()) == []
