"""Access, by a real Flight server: without a tenant's token nothing is told, whatever is asked."""

from __future__ import annotations

import logging
import sys

import pyarrow as pa
import pytest
from pyarrow import flight

from hapistore.errors import UsageError
from hapistore.service.tenancy.access import MIDDLEWARE, Access
from hapistore.service.tenancy.new_token import add_token
from hapistore.service.tenancy.tenants import TenantFile

SCHEMA = pa.schema([("name", pa.string())])


class Server(flight.FlightServerBase):
    """Tells everybody his name, and counts what reached it."""

    def __init__(self, access: Access) -> None:
        super().__init__("grpc://127.0.0.1:0", middleware={MIDDLEWARE: access})
        self.reached = 0

    def _name(self, context) -> str:
        self.reached += 1
        return context.get_middleware("tenant").tenant.name

    def do_get(self, context, ticket):
        return flight.RecordBatchStream(pa.table({"name": [self._name(context)]}))

    def do_action(self, context, action):
        yield self._name(context).encode()

    def do_put(self, context, descriptor, reader, writer):
        self._name(context)

    def list_flights(self, context, criteria):
        self._name(context)
        return iter(())

    def list_actions(self, context):
        self._name(context)
        return []


@pytest.fixture
def serve():
    running = []

    def start(access: Access) -> tuple[Server, flight.FlightClient]:
        server = Server(access)
        client = flight.FlightClient(f"grpc://127.0.0.1:{server.port}")
        running.extend((client, server))
        return server, client

    yield start
    for one in running:
        one.close() if isinstance(one, flight.FlightClient) else one.shutdown()


@pytest.fixture
def tenants(tmp_path):
    if sys.version_info < (3, 11):
        pytest.skip("reading TOML takes Python 3.11")
    path = tmp_path / "tenants.toml"
    tokens = {name: add_token(path, name, {}) for name in ("alice", "bob")}
    return path, tokens


def asking(*values: str) -> flight.FlightCallOptions:
    return flight.FlightCallOptions(headers=[(b"authorization", value.encode()) for value in values])


def name_by_get(client, options) -> str:
    return client.do_get(flight.Ticket(b"x"), options).read_all()["name"][0].as_py()


def put(client, options) -> None:
    writer, _ = client.do_put(flight.FlightDescriptor.for_path("x"), SCHEMA, options)
    writer.done_writing()
    writer.close()


CALLS = {
    "get": name_by_get,
    "action": lambda client, options: next(client.do_action(("x", b""), options)).body.to_pybytes().decode(),
    "put": put,
    "flights": lambda client, options: list(client.list_flights(options=options)),
    "actions": lambda client, options: list(client.list_actions(options)),
}


def test_tokens_tell_tenants_apart(serve, tenants):
    path, tokens = tenants
    _, client = serve(Access(TenantFile(path)))
    for name, token in tokens.items():
        assert name_by_get(client, asking(f"Bearer {token}")) == name
        assert CALLS["action"](client, asking(f"bearer {token}")) == name


@pytest.mark.parametrize("call", CALLS)
def test_without_a_token_nothing_is_told(serve, tenants, call):
    path, tokens = tenants
    failures: list[None] = []
    access = Access(TenantFile(path), failed=lambda: failures.append(None))
    server, client = serve(access)
    good = tokens["alice"]
    wrong = [
        (), ("",), ("Bearer",),
        ("Bearer ",), (f"Bearer {good}x",), (f"Bearer {good[:-1]}",), (f"Basic {good}",), (good,), (f"Bearer  {good}",),
        ("Bearer hapi_",), (f"Bearer {good}", f"Bearer {good}"), ("Bearer " + "x" * 5000,),
    ]  # fmt: skip
    said = set()
    for values in wrong:
        with pytest.raises(flight.FlightUnauthenticatedError) as caught:
            CALLS[call](client, asking(*values))
        said.add(str(caught.value).partition(". ")[0])
    assert len(said) == 1 and next(iter(said)).endswith("no valid token")
    assert server.reached == 0 and access.refused == len(failures) == len(wrong)
    CALLS[call](client, asking(f"Bearer {good}"))
    assert server.reached == 1


def test_a_token_counts_as_the_file_says_now(serve, tenants):
    path, tokens = tenants
    file = TenantFile(path)
    _, client = serve(Access(file))
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("    ")))
    file.reload()
    with pytest.raises(flight.FlightUnauthenticatedError):
        name_by_get(client, asking(f"Bearer {tokens['alice']}"))
    new = add_token(path, "alice", {})
    file.reload()
    assert name_by_get(client, asking(f"Bearer {new}")) == "alice"
    path.write_text("nonsense")
    with pytest.raises(UsageError):
        file.reload()
    assert name_by_get(client, asking(f"Bearer {new}")) == "alice"


def test_without_a_file_everybody_is_anybody(serve):
    _, client = serve(Access(None))
    assert name_by_get(client, None) == name_by_get(client, asking("Bearer whatever")) == "anybody"


def test_refusals_are_logged_now_and_then_and_never_the_token(tenants, caplog):
    path, _ = tenants
    now = [0.0]
    access = Access(TenantFile(path), clock=lambda: now[0])
    with caplog.at_level(logging.DEBUG):
        for _ in range(100):
            with pytest.raises(flight.FlightUnauthenticatedError):
                access.start_call(None, {"authorization": ["Bearer hapi_secret"]})
        now[0] = 11.0
        with pytest.raises(flight.FlightUnauthenticatedError):
            access.start_call(None, {"authorization": [b"Bearer hapi_secret\xff"]})
    assert [record.getMessage() for record in caplog.records] == [
        "1 calls without a valid token were refused, 1 so far",
        "100 calls without a valid token were refused, 101 so far",
    ]
    assert "secret" not in caplog.text
