"""What the packages export: sorted, complete and resolvable."""

from __future__ import annotations

import importlib

import pytest

import hapistore

PACKAGES = ("hapistore", "hapistore_format", "hapistore_torch")


def _constants_then_classes_then_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("package", PACKAGES)
def test_exports_are_sorted_and_unique(package):
    names = importlib.import_module(package).__all__
    assert names == sorted(set(names), key=_constants_then_classes_then_functions)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_resolves(package):
    module = importlib.import_module(package)
    missing = [name for name in module.__all__ if getattr(module, name, None) is None]
    assert not missing


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_has_a_docstring(package):
    module = importlib.import_module(package)
    bare = [n for n in module.__all__ if callable(getattr(module, n)) and not getattr(module, n).__doc__]
    assert not bare


def test_the_lazy_face_is_what_it_exports():
    assert set(hapistore._HOMES) == set(hapistore.__all__)


@pytest.mark.parametrize("name", hapistore.__all__)
def test_a_name_is_what_its_home_exports(name):
    home = importlib.import_module(f"hapistore.{hapistore._HOMES[name]}")
    assert getattr(hapistore, name) is getattr(home, name)
    assert name in home.__all__


@pytest.mark.parametrize("name", hapistore.__all__)
def test_a_name_stays_what_it_is_when_its_home_was_imported_before(name):
    # A room of that name would take its place: ``hapistore.ingest`` is why the room is called ingestion.
    importlib.import_module(f"hapistore.{hapistore._HOMES[name]}")
    assert type(getattr(hapistore, name)).__name__ != "module"


def test_dir_names_what_is_not_loaded_yet():
    assert set(hapistore.__all__) <= set(dir(hapistore))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hapistore.nonsense
