"""OpenStack Swift lets several creators of one object win, so nobody commits there unless he vouches to be alone."""

from __future__ import annotations

import uuid

import pytest

import hapistore as hs
from hapistore.catalog import require_commits
from hapistore.errors import UsageError
from hapistore.stores import open_store
from hapistore.stores.probing import probe_capabilities
from hapistore.stores.protocol import Capabilities


def test_it_is_found_out_not_to_create_atomically(swift):
    store = open_store(swift.url(uuid.uuid4().hex))
    assert store.capabilities == Capabilities(atomic_create=False, consistent_list=False)  # by its headers
    # And in fact, though not in every race.
    assert not all(probe_capabilities(store).atomic_create for _ in range(10))
    with pytest.raises(UsageError, match=r"several writers create one object.*--single-writer"):
        require_commits(store)


def test_a_sole_writer_ingests_there(swift, photographs, write_manifest, tmp_path):
    table = write_manifest(tmp_path / "cells.csv", [(path, "cell") for path in photographs[:6]])
    url = swift.url(uuid.uuid4().hex)
    with pytest.raises(UsageError, match="--single-writer"):
        hs.ingest(open_store(url), "cells", hs.manifest(table))
    store = open_store(url, sole_writer=True)
    assert hs.ingest(store, "cells", hs.manifest(table)).version.number == 1
    assert hs.ingest(store, "cells", hs.manifest(table)).version.number == 1  # and again adds nothing
    assert hs.verify_store(store).damaged == []
