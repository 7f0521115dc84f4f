"""The side port of a service that runs."""

from __future__ import annotations

import socket
import urllib.request


def _get(served, path: str) -> str:
    with urllib.request.urlopen(f"http://{served.watched_at}{path}", timeout=30) as answer:
        return answer.read().decode()


def test_a_service_is_watched(serve, connect, copy_store):
    served = serve(copy_store(), "--metrics", "127.0.0.1:0")
    assert connect(served.url).get("hapistore.json")
    assert '"ok"' in _get(served, "/healthz") and '"ok"' in _get(served, "/readyz")
    metrics = _get(served, "/metrics")
    assert 'hapistore_requests_total{kind="object",outcome="ok",tenant="anybody"} 1.0' in metrics
    assert "hapistore_memory_budget_bytes" in metrics


def test_a_side_port_that_is_taken_is_told_in_one_line(hapistore, copy_store):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = hapistore("serve", "--store", copy_store().url, "--listen", "127.0.0.1:0", "--metrics", address)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if address in line]
    assert "Traceback" not in done.stderr
