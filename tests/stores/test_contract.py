"""The stores of the house keep the store's contract."""

from __future__ import annotations

import pytest

from hapistore.stores import FolderStore, MemoryStore
from hapistore.testing.store_contract import StoreContract


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return FolderStore(tmp_path / "parent" / "store")


class TestMemoryStore(StoreContract):
    pickles = False

    @pytest.fixture
    def store(self):
        return MemoryStore()
