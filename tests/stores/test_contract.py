"""The stores of the house keep the store's contract."""

from __future__ import annotations

import uuid

import pytest

from hapistore.stores import FolderStore, MemoryStore, open_store
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


class TestSeaweedFS(StoreContract):
    races = 4

    @pytest.fixture
    def store(self, seaweedfs):
        return open_store(seaweedfs.url(f"contract/{uuid.uuid4().hex}"))


class TestAzurite(StoreContract):
    @pytest.fixture
    def store(self, azurite):
        return open_store(azurite.url(f"contract/{uuid.uuid4().hex}"))


class TestSwift(StoreContract):
    """All but the race of creators, in which Swift lets several win: see test_swift.py."""

    test_of_creators_at_once_one_wins = None

    @pytest.fixture
    def store(self, swift):
        return open_store(swift.url(f"contract/{uuid.uuid4().hex}"))
