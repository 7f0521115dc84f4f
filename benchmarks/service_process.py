"""``hapistore serve`` as a process, for the benchmarks of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

SERVERS = Path(__file__).parents[1] / "tests" / "servers"


@contextlib.contextmanager
def service(store: str | Path, log: Path, *options: object) -> Iterator[str]:
    """A service before a store, from when it listens; yields what clients connect to.

    It runs on the cores that this process may run on now, and can build torchvision's and timm's networks.

    Args:
        options: of ``hapistore serve``, besides where it listens.

    Raises:
        RuntimeError: it did not start; with the end of its log.
    """
    if str(SERVERS) not in sys.path:
        sys.path.insert(0, str(SERVERS))
    from processes import free_ports, is_listening, running

    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.torchvision_shim", "serve", "--store", str(store)]
    listen = ["--listen", f"127.0.0.1:{port}", "--metrics", "none"]
    with running([*command, *listen, *map(str, options)], log, lambda: is_listening(port)):
        yield f"grpc://127.0.0.1:{port}"


def port_of(url: str) -> int:
    """Of ``scheme://host:port``."""
    return int(url.rpartition(":")[2])
