"""What other tenants of the network may try: each attempt is refused with an error, and the service goes on."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

import hapistore as hs
from hapistore.catalog.names import annotations_name, features_name, images_name, version_name, weights_name
from hapistore.errors import NotFound
from hapistore.service.wire import BYTES, MissingTicket, batch_of, beside
from hapistore.stores.retrying import RetryOptions
from hapistore_format.weights import RawTensor, write_weights


def _short(value: object) -> str:
    return repr(value)[:40]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory, hapistore):
    """A file of two tenants, one of them confined, and their tokens."""
    path = tmp_path_factory.mktemp("tenants") / "tenants.toml"

    def make(name: str, *options: str) -> str:
        done = hapistore("token", name, *options, "--file", path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return path, {"all": make("all", "--may-drain"), "cells": make("cells", "--datasets", "cells*")}


@pytest.fixture(scope="module")
def store(copy_store):
    return copy_store()


@pytest.fixture(scope="module")
def served(serve, store, tokens):
    return serve(store, "--tokens", tokens[0], "--allow-onnx", "--max-network", "64MiB")


@pytest.fixture(scope="module")
def everyone(served, connect, tokens):
    """The tenant who sees everything."""
    return connect(served.url, token=tokens[1]["all"])


@pytest.fixture(scope="module")
def confined(served, connect, tokens):
    """The tenant of ``cells``."""
    return connect(served.url, token=tokens[1]["cells"])


@pytest.fixture
def raw(served, tokens):
    """A client of Arrow Flight that says what it likes, and a caller's options with the confined tenant's token."""
    with flight.FlightClient(served.url.replace("grpc://", "grpc+tcp://")) as client:
        yield client, flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {tokens[1]['cells']}".encode())])


def _calls(client: flight.FlightClient, options: flight.FlightCallOptions) -> list[object]:
    """One of each kind of call."""
    ticket = flight.Ticket(json.dumps({"kind": "object", "name": "hapistore.json"}).encode())

    def put() -> None:
        writer, reader = client.do_put(flight.FlightDescriptor.for_command(b"{}"), BYTES, options)
        with writer:
            writer.done_writing()
            reader.read()

    return [
        lambda: client.do_get(ticket, options).read_all(),
        lambda: list(client.do_action(flight.Action("list", b'{"prefix": "", "after": ""}'), options)),
        lambda: list(client.do_action(flight.Action("status", b"{}"), options)),
        lambda: list(client.do_action(flight.Action("drain", b"{}"), options)),
        lambda: client.list_actions(options),
        put,
    ]


@pytest.mark.parametrize(
    "token", [None, "Bearer hapi_wrong", "Bearer ", "Basic YTpi", "Bearer " + "x" * 3000], ids=_short
)
def test_without_a_known_token_nothing_is_served(served, raw, token, everyone):
    client, _ = raw
    headers = [(b"authorization", token.encode())] if token else []
    for call in _calls(client, flight.FlightCallOptions(headers=headers)):
        with pytest.raises(flight.FlightUnauthenticatedError) as refused:
            call()
        assert "hapistore.json" not in str(refused.value) and "cells" not in str(refused.value)
    assert everyone.status()["tenant"] == "all"


def test_a_confined_tenant_finds_its_datasets_and_no_other(everyone, confined, store, features_of):
    recipe = everyone.register("efficientnet_lite0", cut="pool")
    pets, cells = everyone.view("pets", recipe=recipe, codec="f32"), everyone.view("cells", recipe=recipe, codec="f32")
    for view in (pets, cells):
        for number in range(len(view.version.shards)):
            features_of(view, number)
    hidden = pets.version.shards[0]
    assert hidden.images not in {shard.images for shard in cells.version.shards}
    for name in (
        version_name("pets", 1),
        images_name(hidden.images),
        features_name(recipe.digest, "f32", hidden.images),
        weights_name(recipe.weights),
        "datasets/nothing/versions/00000001.json",
        images_name("0" * 64),
    ):
        with pytest.raises(NotFound) as refused:
            confined.get(name)
        assert str(refused.value) == f"there is no object {name}"
        with pytest.raises(NotFound):
            confined.head(name)
    names = {info.name for info in confined.list()}
    assert names == {info.name for info in store.list()} - {
        name for name in names_of(store) if "pets" in name or name.startswith("models/") or hidden_in(name, pets, cells)
    }
    with pytest.raises(hs.UsageError, match="there is no dataset 'pets'"):
        confined.view("pets", recipe=recipe.digest)
    # Not through a dataset of its own either, whatever digest it names.
    own = confined.view("cells", recipe=recipe.digest, codec="f32")
    forged = own.store.ticket("f32", hidden.images)
    with pytest.raises(NotFound):
        confined.connection.read(forged, "forged")
    with pytest.raises(NotFound):
        confined.connection.read(MissingTicket(dataset="pets@1", recipe=recipe.digest, codec="f32"), "forged")
    seen, unseen = annotations_name(cells.version.shards[0].annotations), annotations_name(hidden.annotations)
    with pytest.raises(NotFound, match=f"there is no object {unseen}"):
        confined.get_many([seen, unseen])
    assert confined.get_many([seen]) == [store.get(seen)]
    for dataset in ("pets", "nothing"):
        asked = {"dataset": dataset, "backbone": "efficientnet_lite0", "link": 1e6}
        with pytest.raises(NotFound, match=f"there is no dataset version {dataset}"):
            confined.connection.act("plan", asked)
    assert features_of(own, 0).shape[1:] == (1280,)


def names_of(store: hs.ObjectStore) -> list[str]:
    return [info.name for info in store.list()]


def hidden_in(name: str, pets: hs.View, cells: hs.View) -> bool:
    """Whether an object is of images that only the hidden dataset has."""
    own = {d for shard in cells.version.shards for d in (shard.images, shard.annotations)}
    others = {d for shard in pets.version.shards for d in (shard.images, shard.annotations)} - own
    return any(digest in name for digest in others)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "images/../hapistore.json",
        "datasets/cells/versions/..%2f",
        "",
        "a" * 5000,
        "\0",
    ],
    ids=_short,
)
def test_names_lead_nowhere_else(raw, confined, name):
    client, options = raw
    ticket = flight.Ticket(json.dumps({"kind": "object", "name": name}).encode())
    with pytest.raises(flight.FlightError) as refused:
        client.do_get(ticket, options).read_all()
    assert "root:" not in str(refused.value)
    with pytest.raises(flight.FlightError):
        list(client.do_action(flight.Action("head", json.dumps({"name": name}).encode()), options))
    assert confined.status()["tenant"] == "cells"


@pytest.mark.parametrize(
    "ticket",
    [
        b"", b"\xff\xfe", b"[]", b"null", b'{"kind": "object"}', b'{"kind": ["object"]}', b"[" * 100_000,
        b'{"kind": "object", "name": "hapistore.json", "start": -1}', b'{"kind": "object", "name": 7}',
        b'{"kind": "object", "name": "hapistore.json", "start": NaN}',
        b'{"kind": "object", "name": "hapistore.json", "start": 99999999}',
        b'{"kind": "features", "dataset": "cells@1", "recipe": "x", "codec": "f32", "images": "y"}',
        b'{"kind": "objects", "names": ["hapistore.json"]}', b'{"kind": "objects", "names": []}',
        b'{"kind": "missing", "dataset": "cells@1", "recipe": "x", "codec": "f32"}',
        b'{"kind": "object", "name": "hapistore.json", "more": 1}', b"x" * (17 << 10), pickle.dumps({"kind": "object"}),
    ],
    ids=_short,
)  # fmt: skip
def test_odd_tickets_are_refused(raw, confined, ticket):
    client, options = raw
    with pytest.raises(flight.FlightError):
        client.do_get(flight.Ticket(ticket), options).read_all()
    with pytest.raises(flight.FlightError):
        list(client.do_action(flight.Action("list", ticket), options))
    with pytest.raises(flight.FlightError):
        list(client.do_action(flight.Action("no-such", b"{}"), options))
    assert confined.status()["tenant"] == "cells"


def _send(
    raw, header: dict[str, object] | bytes, payload: bytes, *, announced: int | None = None, schema=BYTES
) -> None:
    client, options = raw
    command = header if isinstance(header, bytes) else json.dumps({"kind": "network", **header}).encode()
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(command), schema, options)
    with writer:
        writer.write_metadata(beside(bytes=len(payload) if announced is None else announced))
        if payload and schema == BYTES:
            writer.write_batch(batch_of(payload))
        writer.done_writing()
        while reader.read() is not None:
            pass


def test_uploads_that_are_not_what_they_say_are_refused(raw, confined, store):
    before = names_of(store)
    for header, payload, more in (
        (b"x" * (20 << 10), b"1", {}),
        (b"not JSON", b"1", {}),
        ({}, b"1", {"announced": 65 << 20}),
        ({}, b"1", {"announced": -1}),
        ({}, b"12", {"announced": 1}),
        ({}, b"1", {"announced": 1000}),
        ({}, b"1", {"schema": pa.schema([pa.field("other", pa.string())])}),
    ):
        with pytest.raises(flight.FlightError):
            _send(raw, header, payload, **more)
        assert confined.status()["tenant"] == "cells"
    assert names_of(store) == before


def _pickle_that_would_write(path) -> bytes:
    class Writes:
        def __reduce__(self):
            return open, (str(path), "w")

    return pickle.dumps(Writes())


def test_pickles_and_archives_as_models_are_refused_unread(everyone, confined, store, tmp_path, lite0):
    from hapistore.extraction.sending import pack_network

    header = pack_network(lite0, precision="f32").header
    touched = tmp_path / "touched"
    hostile = _pickle_that_would_write(touched)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", hostile)
    before = names_of(store)
    for payload in (hostile, archive.getvalue()):
        with pytest.raises(hs.UsageError, match="expected weights as safetensors"):
            confined.connection.send({**header, "kind": "weights"}, payload)
    assert not touched.exists()
    assert names_of(store) == before
    assert everyone.status()["counts"]["failed"] == 0


def test_other_weights_than_the_network_has_are_refused(confined, store, lite0):
    from hapistore.extraction.sending import pack_network

    sent = pack_network(lite0, precision="f32")
    digest, weights = write_weights({"stem": RawTensor("F32", (2,), np.ones(2, np.float32).tobytes())})
    before = names_of(store)
    with pytest.raises(hs.UsageError):
        confined.connection.send({**sent.header, "sha256": digest}, bytes(weights))
    assert names_of(store) == before


def test_only_who_may_ends_the_service(confined):
    with pytest.raises(hs.UsageError, match="may not end the service"):
        confined.drain()
    assert not confined.status()["draining"]


def test_tls(serve, connect, store, tokens, tmp_path):
    made = subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
        ],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (tmp_path / "key.pem").chmod(0o600)
    served = serve(store, "--tokens", tokens[0], "--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    assert served.url.startswith("grpc+tls://")
    client = connect(served.url, token=tokens[1]["all"], tls_root=tmp_path / "cert.pem")
    assert client.status()["tenant"] == "all"
    with pytest.raises(hs.HapistoreError):
        connect(served.url, token=tokens[1]["all"], retries=_ONCE).status()  # a certificate that nobody vouches for
    with pytest.raises(hs.HapistoreError):
        connect(served.url.replace("+tls", ""), token=tokens[1]["all"], retries=_ONCE).status()


def test_it_refuses_to_be_reached_without_tls_and_tokens(hapistore, store):
    done = hapistore("serve", "--store", store.url, "--listen", "0.0.0.0:0", "--metrics", "none")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "--tls-cert" in done.stderr and "--tokens" in done.stderr


_ONCE = RetryOptions(attempts=1)
