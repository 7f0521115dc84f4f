"""Two tiers on one machine: an object store and a service on one core, training on the other, a shaped link between.

The link is the loopback device of a network namespace of its own, whose HTB class takes what goes to and from two
ports: the store's, by a door of its own, and the service's. A tier's core is by affinity.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..control_group import cpu_share
from ..service_process import SERVERS, port_of, service
from ..stores import shape, shape_too, unshape
from .memory import tree

STORAGE_CORE, COMPUTE_CORE = 0, 1


@dataclass(frozen=True, kw_only=True)
class Tiers:
    """Where each tier reaches what, and processes to run its part.

    Attributes:
        direct, gateway: URLs of the store, beside it and over the link; service: over the link, too;
            service_pid: of its process.
        storage, compute: one process each, on its core.
        memcached: whether the store's doors keep in it what they know of accounts and containers; Swift's only.
    """

    direct: str
    gateway: str
    service: str
    service_pid: int
    storage: ProcessPoolExecutor
    compute: ProcessPoolExecutor
    memcached: bool


@contextlib.contextmanager
def two_tiers(
    folder: Path, fill: Callable[[str], None], *, store: str, link_mbit_s: int, storage_share: float = 1.0
) -> Iterator[Tiers]:
    """Start both tiers; to be called in a network namespace of its own (`enter_namespace`).

    Args:
        fill: called with the store's URL, to put in what is trained on.
        store: ``seaweedfs`` or ``swift``. storage_share: what the storage tier has of its core; its networks are loaded
            by that, too.
    """
    spawn = multiprocessing.get_context("spawn")
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {STORAGE_CORE})  # the servers too
        server, door = stack.enter_context(_store(folder / store, store))
        os.environ.update(server.environment)
        storage, compute = (
            stack.enter_context(ProcessPoolExecutor(1, spawn, _on_core, (core,)))
            for core in (STORAGE_CORE, COMPUTE_CORE)
        )
        fill(server.url("images"))
        shape(port_of(door.endpoint), link_mbit_s)
        stack.callback(unshape)
        url = stack.enter_context(service(server.url("images"), folder / "service.log", "--allow-onnx"))
        shape_too(port_of(url))
        if storage_share < 1:
            # The processes of both tiers' training start later.
            stack.enter_context(cpu_share(storage_share, [pid for pid in tree([os.getpid()]) if pid != os.getpid()]))
        yield Tiers(
            direct=server.url("images"), gateway=door.url("images"), service=url, service_pid=_serving(),
            storage=storage, compute=compute, memcached=getattr(server, "memcached", None) is not None,
        )  # fmt: skip


@contextlib.contextmanager
def _store(folder: Path, name: str) -> Iterator[tuple[Any, Any]]:
    """A store, and the same one behind a door that is shaped."""
    if str(SERVERS) not in sys.path:
        sys.path.insert(0, str(SERVERS))
    from seaweedfs import seaweedfs, second_gateway
    from swift import second_proxy, swift

    cached = partial(swift, caches=True)
    start, second = {"seaweedfs": (seaweedfs, second_gateway), "swift": (cached, second_proxy)}[name]
    with start(folder) as server, second(server) as door:
        yield server, door


def _on_core(core: int) -> None:
    """For a process of one tier."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)


def _serving() -> int:
    """Process number of the service, a child of this process."""
    for pid in tree([os.getpid()]):
        if "benchmarks.torchvision_shim\0serve" in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
    raise RuntimeError("no process of this one's serves")
