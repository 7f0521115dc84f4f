"""A real Azurite, Azure's own emulator of its blob service: an npm package, installed once into a cache folder."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from processes import free_ports, is_listening, running

# Newer ones want Node 22. Its dependencies are as they were on that day.
VERSION, AS_OF = "3.35.0", "2026-06-01"
# The emulator's account and key are the same everywhere; they are part of its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "hapistore-tests"


@dataclass(frozen=True)
class Azurite:
    """Where it listens, and the environment by which clients may write."""

    endpoint: str
    environment: dict[str, str]

    def url(self, prefix: str) -> str:
        return f"az://{CONTAINER}/{prefix}?endpoint={self.endpoint}"


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    """A server with its data in ``folder``, and an empty container.

    Raises:
        RuntimeError: it cannot be installed, or does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = [
        _install(), f"--location={folder}", "--blobHost=127.0.0.1", f"--blobPort={port}", "--skipApiVersionCheck",
        "--disableTelemetry", "--silent",
    ]  # fmt: skip
    with running(command, folder / "log", lambda: is_listening(port), cwd=folder):
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        _make_container(endpoint)
        yield Azurite(endpoint, {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY})


def _install() -> Path:
    """The program, installed if it is not; processes that do so at once do not get in each other's way."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hapistore-tests"
    installed = cache / f"azurite-{VERSION}-{AS_OF}"
    if not installed.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="azurite-", dir=cache) as made:
            _npm_install(Path(made) / "installed")
            try:
                (Path(made) / "installed").rename(installed)
            except OSError:
                if not installed.exists():  # else somebody else was faster
                    raise
    return installed / "node_modules" / ".bin" / "azurite-blob"


def _npm_install(folder: Path) -> None:
    folder.mkdir()
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-update-notifier", f"--before={AS_OF}"]
    command = ["npm", "install", *options, "--prefix", str(folder), f"azurite@{VERSION}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"npm cannot install azurite {VERSION}: {done.stderr[-2000:]}")


def _make_container(endpoint: str) -> None:
    """By a request signed with the shared key: what is signed is the method, the headers, and what is asked for."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    resource = f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"  # the emulator has the account in the path too
    # Twelve standard headers, each on a line of its own; this request has none of them.
    text = "PUT\n" + "\n" * 11 + named + resource
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    request = urllib.request.Request(
        f"{endpoint}/{CONTAINER}?restype=container",
        method="PUT",
        headers={**headers, "Authorization": f"SharedKey {ACCOUNT}:{signature}"},
    )
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"the container cannot be made: {error.code} {error.read()[:300]!r}") from error
