"""How often the store behind a service is asked while features are made: each request is a round trip there."""

from __future__ import annotations

from collections import Counter

import pytest

import hapistore as hs
from hapistore.catalog.names import parse_name
from hapistore.service.serving import ServeOptions, Service
from hapistore.service.tenancy.binding import Binding
from hapistore.stores.wrappers.wrapped import WrappedStore
from hapistore_format import FeatureShardReader, write_feature_shard

CODEC = "u8c+zstd"


class NotingStore(WrappedStore):
    """Notes what is asked, by operation and kind of object."""

    def __init__(self, inner):
        super().__init__(inner)
        self.asked = Counter()

    def around(self, operation, name, sent, request):
        parsed = parse_name(name)
        self.asked[operation, parsed.kind if parsed else name] += 1
        return request()


@pytest.fixture
def noting(store):
    return NotingStore(store)


@pytest.fixture
def client(noting, connect):
    """Of a service in this process."""
    service = Service(noting, ServeOptions(binding=Binding(listen="127.0.0.1:0")), version="test")
    yield connect(service.url)
    service.close()


def test_what_was_made_is_handed_on_as_it_was_stored(client, noting, store):
    view = client.view("cells", recipe=client.register("efficientnet_lite0", cut="pool"), codec=CODEC)
    names = view.feature_names()
    assert len(names) > 2
    noting.asked.clear()
    given = [bytes(view.store.get(name)) for name in names]
    stored = hs.open_view(store, "cells", recipe=view.recipe.digest, codec=CODEC)
    assert given == [bytes(stored.store.get(name)) for name in names]
    # Whether it is there; by the job, whether it is there by now, or in a lossless codec.
    assert noting.asked["head", "features"] == 5 * len(names)
    assert noting.asked["create", "features"] == len(names)
    assert noting.asked["get", "features"] == noting.asked["get_ranges", "features"] == 0

    # What is gone from the store is made anew, and what is there is read.
    store.delete(names[0])
    again = [bytes(view.store.get(name)) for name in names]
    assert again[1:] == given[1:] and again[0] == bytes(store.get(names[0]))
    assert noting.asked["create", "features"] == len(names) + 1
    assert noting.asked["get", "features"] == len(names) - 1


def test_another_workers_shard_is_read_from_the_store(client, noting, store):
    """One that was stored while the service made it: its bytes are the store's, not the service's."""
    view = client.view("pets", recipe=client.register("efficientnet_lite0", cut="pool"), codec=CODEC)
    name = view.feature_names()[0]
    ours = FeatureShardReader(view.store.get(name), where=name)
    theirs = write_feature_shard(
        ours.features(), codec=CODEC, recipe=view.recipe.digest, images=view.version.shards[0].images,
        provenance={"executor": "another"},
    )  # fmt: skip
    store.delete(name)
    ask = noting.around

    def late(operation, asked, sent, request):
        if operation == "create" and asked == name:
            store.put(name, theirs)
        return ask(operation, asked, sent, request)

    noting.around = late
    assert bytes(view.store.get(name)) == bytes(theirs)
    assert noting.asked["get", "features"] == 1
