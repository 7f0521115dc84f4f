"""The side port, asked by those who watch a server and by those who mean it ill."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import ExitStack, closing

import pytest

from hapistore.errors import UsageError
from hapistore.service.watching import side_port
from hapistore.service.watching.metrics import Metrics
from hapistore.service.watching.side_port import Health, SidePort, parse_address


class State:
    """What the port is told of its server."""

    def __init__(self) -> None:
        self.health = Health()
        self.metrics = Metrics(version="1")
        self.error: Exception | None = None

    def ask(self) -> Health:
        if self.error is not None:
            raise self.error
        return self.health


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def port(state):
    with SidePort("127.0.0.1:0", health=state.ask, metrics=state.metrics.exposition) as port:
        yield port


def ask(port: SidePort, path: str, method: str = "GET") -> tuple[int, bytes]:
    host, number = parse_address(port.address)
    with closing(http.client.HTTPConnection(host, number, timeout=30)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def connected(port: SidePort) -> socket.socket:
    return socket.create_connection(parse_address(port.address), timeout=30)


def exchange(port: SidePort, request: bytes) -> bytes:
    """What comes back until the connection ends, however it does."""
    with connected(port) as client:
        found = b""
        try:
            client.sendall(request)
            while more := client.recv(65536):
                found += more
        except ConnectionError:  # bytes that nobody reads any more
            pass
        return found


def test_health_and_readiness(port, state):
    assert [ask(port, path)[0] for path in ("/healthz", "/readyz")] == [200, 200]
    assert json.loads(ask(port, "/healthz")[1]) == {"status": "ok"}
    state.health = Health(not_ready=("starting",))
    assert [ask(port, path)[0] for path in ("/healthz", "/readyz")] == [200, 503]
    state.health = Health(unhealthy=("draining", "store unreachable: timed out"))
    status, body = ask(port, "/healthz?verbose")
    told = json.loads(body)
    assert status == 503
    assert told == {"status": "unhealthy", "reasons": ["draining", "store unreachable: timed out"]}
    assert ask(port, "/readyz")[0] == 503


def test_metrics_of_the_server(port, state):
    with state.metrics.request("lab", "features"):
        pass
    status, body = ask(port, "/metrics")
    assert status == 200
    assert b'hapistore_requests_total{kind="features",outcome="ok",tenant="lab"} 1.0' in body


def test_head_is_the_same_without_a_body(port):
    assert ask(port, "/healthz", "HEAD") == (200, b"")
    answer = exchange(port, b"HEAD /healthz HTTP/1.1\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n") and b"Content-Length: 17\r\n" in answer


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "/../metrics", "/metrics/", "//metrics", "/%6detrics"])
def test_there_is_nothing_else(port, path):
    assert ask(port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_done_there(port, method):
    assert ask(port, "/metrics", method)[0] == 405


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz\r\n\r\n", b"400"),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nX: \x00\x1b\r\n\r\n", b"200"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_request_is_refused(port, request_bytes, status):
    assert exchange(port, request_bytes).split(b" ")[1] == status
    assert ask(port, "/healthz")[0] == 200


def test_lines_without_end_are_not_read_to_their_end(port):
    answer = exchange(port, b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 50_000_000)
    assert answer == b"" or answer.split(b" ")[1] == b"431"  # an answer may be lost to bytes that were on their way
    assert ask(port, "/healthz")[0] == 200


def test_a_client_that_does_not_finish_is_sent_away(port, monkeypatch):
    monkeypatch.setattr(side_port, "_MOST_S", 0.2)
    assert exchange(port, b"GET /healthz HT").split(b" ")[1] == b"408"


def test_one_that_goes_away_in_the_middle_does_no_harm(port):
    for sent in (b"", b"GET /hea", b"GET /metrics HTTP/1.1\r\n\r\n"):
        with connected(port) as client:
            client.sendall(sent)
    assert ask(port, "/healthz")[0] == 200


def test_clients_that_send_nothing_do_not_keep_others_out(port):
    """Far more of them than there are threads, each as long as the port will have it."""
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(port)).sendall(b"GET /healthz")
        assert [ask(port, "/healthz")[0] for _ in range(5)] == [200] * 5
        names = [thread.name for thread in threading.enumerate() if "process_request_thread" in thread.name]
        assert len(names) <= 16


def test_an_error_of_ours_is_in_the_log_and_not_in_the_answer(port, state, caplog):
    state.error = ZeroDivisionError("secret")
    status, body = ask(port, "/healthz")
    assert status == 500 and b"secret" not in body
    assert "/healthz cannot be answered" in caplog.text
    state.error = None
    assert ask(port, "/healthz")[0] == 200


def test_once_closed_nobody_listens(state):
    port = SidePort("127.0.0.1:0", health=state.ask, metrics=state.metrics.exposition)
    port.close()
    with pytest.raises(ConnectionRefusedError):
        connected(port)


def test_addresses():
    assert parse_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert parse_address("[::1]:0") == ("::1", 0)
    assert parse_address(":9464") == ("127.0.0.1", 9464)
    for bad in ("", "9464", "host", "host:", "h:99999", "::1:80", "a b:80", "h:80\n", "h:8\u0660"):
        with pytest.raises(UsageError, match="no address"):
            parse_address(bad)


def test_an_address_that_is_taken_is_said_in_one_line(port, state):
    with pytest.raises(UsageError, match="cannot listen there"):
        SidePort(port.address, health=state.ask, metrics=state.metrics.exposition)
