"""Hapistore's store beside bare obstore on a real SeaweedFS: ``python -m benchmarks.stores``.

Whole shards of 64 MiB up and down, and small ranged reads; in turn, medians of rounds. With ``--link MBIT`` the
loopback device of a network namespace of its own is shaped to that rate (root, and iproute2). Needs
``pip install '.[dev]'``. About two minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import obstore

import hapistore as hs

from .environment import spread, write_result

_SHARD_BYTES, _RANGES, _RANGE_BYTES = 64 << 20, 16, 4096
_INSIDE = "HAPISTORE_BENCHMARK_INSIDE"


def measure(url: str, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds of each operation, by who does it."""
    store = hs.open_store(url)
    client = store.inner._client  # the very client that hapistore uses, without hapistore
    data = os.urandom(_SHARD_BYTES)
    # Far apart, so that each is a request of its own.
    ranges = [(start, start + _RANGE_BYTES) for start in range(0, _SHARD_BYTES, _SHARD_BYTES // _RANGES)]
    starts, ends = (list(side) for side in zip(*ranges, strict=True))
    store.put("shard", data)
    operations: dict[str, dict[str, Callable[[], object]]] = {
        "put 64 MiB": {
            "hapistore": lambda: store.put("ours", data),
            "obstore": lambda: obstore.put(client, "theirs", data, use_multipart=False),
        },
        "get 64 MiB": {
            "hapistore": lambda: store.get("shard")[-1],
            "obstore": lambda: memoryview(obstore.get(client, "shard").bytes())[-1],
        },
        f"{len(ranges)} ranges of 4 KiB": {
            "hapistore": lambda: store.get_ranges("shard", ranges),
            "obstore": lambda: obstore.get_ranges(client, "shard", starts=starts, ends=ends),
        },
    }
    seconds = {name: {who: [] for who in both} for name, both in operations.items()}
    for number in range(rounds + 1):
        for name, both in operations.items():
            for who, run in both.items() if number % 2 else reversed(both.items()):
                began = time.perf_counter()
                run()
                if number:  # the first round warms up
                    seconds[name][who].append(time.perf_counter() - began)
    return {name: {who: spread(values) for who, values in both.items()} for name, both in seconds.items()}


def enter_namespace(module: str) -> None:
    """Run a benchmark again in a network namespace of its own, whose loopback device may be shaped (root)."""
    if _INSIDE not in os.environ:
        command = ["unshare", "--net", sys.executable, "-m", module, *sys.argv[1:]]
        sys.exit(subprocess.run(command, env={**os.environ, _INSIDE: "1"}).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def shape(port: int, mbit: int) -> None:
    """Give what goes to and from a port of the loopback device that rate; the server's own traffic has none."""
    filter_ = "tc filter add dev lo protocol ip parent 1: prio 1 u32 match ip {} {} 0xffff flowid 1:2"
    for command in (
        "tc qdisc add dev lo root handle 1: htb default 1 r2q 1000",
        "tc class add dev lo parent 1: classid 1:1 htb rate 100gbit",
        f"tc class add dev lo parent 1: classid 1:2 htb rate {mbit}mbit",
        filter_.format("sport", port),
        filter_.format("dport", port),
    ):
        subprocess.run(command.split(), check=True)


def shape_too(port: int) -> None:
    """Have another port share what the one that is shaped has."""
    for direction in ("sport", "dport"):
        command = f"tc filter add dev lo protocol ip parent 1: prio 1 u32 match ip {direction} {port} 0xffff flowid 1:2"
        subprocess.run(command.split(), check=True)


def unshape() -> None:
    """Undo `shape`."""
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)


def link_bytes() -> int:
    """Bytes that crossed the shaped link so far, both ways; the server's own traffic is another class of the device."""
    shown = subprocess.run(
        ["tc", "-s", "class", "show", "dev", "lo"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"class htb 1:2 .*?Sent (\d+) bytes", shown, re.DOTALL)
    assert found, shown
    return int(found[1])


def reshape(mbit: int) -> None:
    """Give the port that is shaped another rate."""
    command = f"tc class change dev lo parent 1: classid 1:2 htb rate {mbit}mbit"
    subprocess.run(command.split(), check=True)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--link", type=int, metavar="MBIT", help="shape the link; a namespace of its own")
    options = parser.parse_args()
    if options.link:
        enter_namespace("benchmarks.stores")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))
    from seaweedfs import seaweedfs

    with tempfile.TemporaryDirectory() as folder, seaweedfs(Path(folder)) as server:
        if options.link:
            shape(int(server.endpoint.rpartition(":")[2]), options.link)
        os.environ.update(server.environment)
        seconds = measure(server.url("benchmark"), options.rounds)
    result = {"seconds": seconds, "shard_bytes": _SHARD_BYTES, "link_mbit_s": options.link}
    print(write_result(f"stores_{options.link}mbit" if options.link else "stores", result, packages=["obstore"]))


if __name__ == "__main__":
    main()
