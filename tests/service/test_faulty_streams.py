"""That the proxy which breaks gRPC really does, and that clients see it: else no test over it would say anything."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import flight

SERVERS = Path(__file__).resolve().parents[1] / "servers"
BATCHES, ROWS = 32, 1 << 14
# Of a connection that carries nothing any more; and one that is broken is made anew at once.
PINGS = [
    ("grpc.keepalive_time_ms", 300),
    ("grpc.keepalive_timeout_ms", 600),
    ("grpc.http2.ping_timeout_ms", 600),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 600),
    ("grpc.max_reconnect_backoff_ms", 50),
]


class Numbers(flight.FlightServerBase):
    """Gives 2 MiB of numbers in 32 record batches."""

    def do_get(self, context, ticket) -> flight.GeneratorStream:
        batches = (pa.record_batch([pa.array(range(n * ROWS, (n + 1) * ROWS))], ["n"]) for n in range(BATCHES))
        return flight.GeneratorStream(pa.schema([("n", pa.int64())]), batches)


@pytest.fixture(scope="module")
def module():
    sys.path.insert(0, str(SERVERS))
    try:
        return importlib.import_module("faulty_streams")
    finally:
        sys.path.remove(str(SERVERS))


@pytest.fixture(scope="module")
def server():
    with Numbers("grpc://127.0.0.1:0") as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield f"127.0.0.1:{server.port}"
        server.shutdown()
        thread.join()


def fetch(client: flight.FlightClient) -> int:
    """Rows of one answer, all of which are right."""
    column = client.do_get(flight.Ticket(b"")).read_all()["n"].to_numpy()
    assert column.tolist() == list(range(BATCHES * ROWS))
    return len(column)


def test_what_is_not_broken_passes(module, server):
    with module.faulty_streams(server, {}) as proxy, flight.connect(proxy.location) as client:
        assert [fetch(client) for _ in range(3)] == [BATCHES * ROWS] * 3
        assert proxy.done == {"passed": 1}
        assert proxy.calls == 3


@pytest.mark.parametrize("way", ["503", "reset", "truncated", "stalled"])
def test_each_way_is_an_error_to_clients_and_counted(module, server, way):
    with (
        module.faulty_streams(server, {way: 1.0}, most_bytes=1 << 20, seed=3) as proxy,
        flight.connect(proxy.location, generic_options=PINGS) as client,
    ):
        with pytest.raises(flight.FlightUnavailableError) as raised:
            fetch(client)
        assert ("503" in str(raised.value)) == (way == "503")
        assert proxy.done[way] >= 1
        assert set(proxy.done) <= {way, "passed"}


def test_a_client_gets_all_through_breaks_of_every_way(module, server):
    rates = {"503": 0.2, "reset": 0.2, "truncated": 0.2, "stalled": 0.2}
    with (
        module.faulty_streams(server, rates, seed=1) as proxy,
        flight.connect(proxy.location, generic_options=PINGS) as client,
    ):
        fetched = failed = 0
        while fetched < 8 or not set(rates) <= set(proxy.done):
            assert failed < 2_000, proxy.done
            try:
                fetched += fetch(client) == BATCHES * ROWS
            except flight.FlightUnavailableError:
                failed += 1
                threading.Event().wait(0.02)
        assert failed


def test_rates_may_be_changed_meanwhile(module, server):
    with module.faulty_streams(server, {"503": 1.0}) as proxy:
        with flight.connect(proxy.location) as client, pytest.raises(flight.FlightUnavailableError):
            fetch(client)
        proxy.rates = {}
        with flight.connect(proxy.location, generic_options=[("grpc.use_local_subchannel_pool", 1)]) as client:
            assert fetch(client)


def test_no_thread_is_left(module, server):
    before = set(threading.enumerate())
    with module.faulty_streams(server, {"stalled": 1.0}, most_bytes=1, stall_s=3600) as proxy:
        client = flight.connect(proxy.location, generic_options=PINGS)
        with pytest.raises(flight.FlightUnavailableError):
            fetch(client)
        assert set(threading.enumerate()) - before
        client.close()
    assert set(threading.enumerate()) <= before


def test_an_unknown_way_is_refused(module):
    with (
        pytest.raises(ValueError, match="not garbled"),
        module.faulty_streams("127.0.0.1:1", {"garbled": 0.1}),
    ):
        pass


def test_calls_are_counted_wherever_the_pieces_end(module):
    def frame(kind: int, size: int) -> bytes:
        return size.to_bytes(3, "big") + bytes([kind]) + bytes(5) + bytes([1]) * size

    sent = (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 6) + frame(1, 300) + frame(0, 70_000) + frame(8, 4) + frame(1, 0)
    )
    for size in (1, 2, 7, 9, 100, len(sent)):
        counter = module.CallCounter()
        assert sum(counter.feed(sent[at : at + size]) for at in range(0, len(sent), size)) == 2
