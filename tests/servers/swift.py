"""A real OpenStack Swift, the store that HAPI used: four servers and three rings, S3 through its proxy.

Its create-if-absent lets several creators win, and its listings lag: what stores without these promises are like.
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from processes import free_ports, is_listening, running

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"
BUCKET = "hapistore-tests"
_PROXY = "catch_errors gatekeeper healthcheck listing_formats s3api tempauth slo dlo proxy-server"


@dataclass(frozen=True)
class Swift:
    """Where it listens, and the environment by which clients may write."""

    endpoint: str
    environment: dict[str, str]
    folder: Path
    memcached: str | None = None

    def url(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}?endpoint={self.endpoint}&region=us-east-1"


@contextlib.contextmanager
def swift(folder: Path, *, caches: bool = False) -> Iterator[Swift]:
    """A server with its data in ``folder``, and an empty bucket.

    Args:
        caches: whether its proxies keep in memcached what they know of accounts and containers, as they do wherever
            Swift is in use; else each request asks both servers anew. Without effect where memcached is not installed.
    """
    ports = dict(zip(("account", "container", "object", "proxy"), free_ports(4), strict=True))
    (folder / "devices" / "d1").mkdir(parents=True, exist_ok=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = tests\nswift_hash_path_prefix = tests\n"
        "[storage-policy:0]\nname = default\ndefault = yes\n"
    )
    for kind in ("account", "container", "object"):
        _make_ring(folder, kind, ports[kind])
        (folder / f"{kind}.conf").write_text(
            _defaults(folder, ports[kind])
            + f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
        )
    with contextlib.ExitStack() as servers:
        memcached = servers.enter_context(_memcached(folder)) if caches and shutil.which("memcached") else None
        (folder / "proxy.conf").write_text(_defaults(folder, ports["proxy"]) + _proxy(memcached))
        for kind, port in ports.items():
            command = [_tool(f"swift-{kind}-server"), folder / f"{kind}.conf", "--verbose"]
            servers.enter_context(running(command, folder / f"{kind}.log", lambda port=port: is_listening(port)))
        endpoint = f"http://127.0.0.1:{ports['proxy']}"
        _make_bucket(endpoint)
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        yield Swift(endpoint, keys, folder, memcached)


@contextlib.contextmanager
def second_proxy(server: Swift) -> Iterator[Swift]:
    """The same objects at a port of their own, which may be shaped alone."""
    (port,) = free_ports(1)
    configuration = server.folder / "second.conf"
    configuration.write_text(_defaults(server.folder, port) + _proxy(server.memcached))
    command = [_tool("swift-proxy-server"), configuration, "--verbose"]
    with running(command, server.folder / "second.log", lambda: is_listening(port)):
        yield replace(server, endpoint=f"http://127.0.0.1:{port}")


def _tool(name: str) -> Path:
    return Path(sys.executable).parent / name


def _defaults(folder: Path, port: int) -> str:
    return (
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 1\nuser = {getpass.getuser()}\n"
        f"swift_dir = {folder}\ndevices = {folder / 'devices'}\nmount_check = false\nlog_level = WARNING\n"
    )


@contextlib.contextmanager
def _memcached(folder: Path) -> Iterator[str]:
    """A memcached; its address."""
    (port,) = free_ports(1)
    command = [Path(shutil.which("memcached") or ""), "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "64"]
    command += ["-t", "1", "-u", getpass.getuser()]
    with running(command, folder / "memcached.log", lambda: is_listening(port)):
        yield f"127.0.0.1:{port}"


def _proxy(memcached: str | None) -> str:
    more = dict(_MORE)
    pipeline = _PROXY
    if memcached is not None:
        pipeline = _PROXY.replace("healthcheck ", "healthcheck cache ")
        more["cache"] = f"memcache_servers = {memcached}\n"
    sections = "".join(
        f"[filter:{name}]\nuse = egg:swift#{_EGGS.get(name, name)}\n{more.get(name, '')}"
        for name in pipeline.split()[:-1]
    )
    return (
        f"[pipeline:main]\npipeline = {pipeline}\n[app:proxy-server]\nuse = egg:swift#proxy\n"
        f"account_autocreate = true\n{sections}"
    )


_EGGS = {"cache": "memcache"}
_MORE = {"tempauth": "user_test_tester = testing .admin\n", "s3api": "location = us-east-1\n"}


def _make_ring(folder: Path, kind: str, port: int) -> None:
    builder = folder / f"{kind}.builder"
    steps = (
        ["create", "4", "1", "0"],
        ["add", "--region", "1", "--zone", "1", "--ip", "127.0.0.1", "--port", port, "--device", "d1", "--weight", "1"],
        ["rebalance"],
    )
    for step in steps:
        command = [str(part) for part in (_tool("swift-ring-builder"), builder, *step)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, 1):  # 1: a warning, as of a ring with one device
            raise RuntimeError(f"swift-ring-builder {step[0]} failed: {done.stdout}{done.stderr}")


def _make_bucket(endpoint: str) -> None:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET, endpoint=endpoint, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY, region="us-east-1",
        virtual_hosted_style_request=False, client_options={"allow_http": True},
    )  # fmt: skip
    signed = obstore.sign(store, "PUT", "", timedelta(minutes=1))
    try:
        urllib.request.urlopen(urllib.request.Request(signed, method="PUT"), timeout=30)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"the bucket cannot be made: {error.code} {error.read()[:300]!r}") from error
