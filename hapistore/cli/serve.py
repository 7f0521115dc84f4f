"""``hapistore serve``."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..stores import ObjectStore
from ..units import format_bytes
from .common import Bytes, Seconds, json_option, reporting_errors, store_option


@click.command("serve", short_help="Serve a store to training jobs.")
@store_option
@click.option(
    "--listen", metavar="HOST:PORT", default="127.0.0.1:8815", show_default=True, help="Where; port 0 takes any."
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate, PEM, with those that signed it.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key, PEM, which others cannot read.")
@click.option("--tokens", type=click.Path(path_type=Path), help="File of tenants, as `hapistore token` makes it.")
@click.option("--insecure", is_flag=True, help="Listen to other machines without TLS and tokens all the same.")
@click.option("--memory", type=Bytes(), help="Of extraction, its processes included.  [default: 80 % of what is free]")
@click.option("--threads", type=click.IntRange(1), help="Images decoded at once.  [default: cores, at most 8]")
@click.option("--answers", type=Bytes(), default="2GiB", show_default=True, help="Memory for answers and uploads.")
@click.option("--max-requests", type=click.IntRange(1), default=1024, show_default=True, help="Of all tenants at once.")
@click.option("--allow-onnx", is_flag=True, help="Take networks as ONNX programs, which run in a process shut off.")
@click.option("--max-network", type=Bytes(), default="2GiB", show_default=True, help="The largest network taken.")
@click.option("--metrics", metavar="HOST:PORT", default="127.0.0.1:9464", show_default=True, help="Or `none`.")
@click.option(
    "--drain", type=Seconds(), default="60s", show_default=True, help="For what was begun, when it is to end."
)
@click.option("--log-format", type=click.Choice(["json", "text"]), default="json", show_default=True)
@json_option
@reporting_errors
def command(store: ObjectStore, as_json: bool, log_format: str, **given: Any) -> None:
    """Serve a store to training jobs: features that are there, and those that are not, made beside the store.

    It runs until SIGTERM or Ctrl-C, and finishes then what was begun. SIGHUP has it read the file of tenants again.
    Logs go to stderr; one line on stdout says where it listens (with --json: as one line of JSON).

    \b
    Examples:
      hapistore serve --store s3://bucket/prefix --memory 8GiB
      hapistore serve --listen 0.0.0.0:8815 --tls-cert cert.pem --tls-key key.pem --tokens tenants.toml
    """
    from ..service.serving import Service
    from ..service.watching.logs import set_up_logging

    set_up_logging(log_format)
    service = Service(store, _options(**given), version=__version__)
    try:
        signal.signal(signal.SIGTERM, lambda *_: service.drain())
        signal.signal(signal.SIGINT, lambda *_: service.drain())
        signal.signal(signal.SIGHUP, lambda *_: service.read_tenants_again())
        _tell(store, service, as_json)
        whole = service.wait()
    finally:
        ended = service.close()
    if not ended:
        os._exit(1)  # threads that are stuck would keep the process; all that matters lies in the store
    if not whole:
        sys.exit(1)


def _options(
    *,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    tokens: Path | None,
    insecure: bool,
    memory: int | None,
    threads: int | None,
    answers: int,
    max_requests: int,
    allow_onnx: bool,
    max_network: int,
    metrics: str,
    drain: float,
) -> Any:
    from ..service.networks.intake_limits import IntakeLimits
    from ..service.serving import ServeOptions
    from ..service.tenancy.binding import Binding

    return ServeOptions(
        binding=Binding.parse(listen, cert=tls_cert, key=tls_key, tokens=tokens, insecure=insecure),
        memory_bytes=memory,
        decode_threads=threads,
        answer_bytes=answers,
        max_requests=max_requests,
        networks=IntakeLimits(allow_onnx=allow_onnx, max_bytes=max_network),
        metrics=None if metrics == "none" else metrics,
        drain_s=drain,
    )


def _tell(store: ObjectStore, service: Any, as_json: bool) -> None:
    if as_json:
        told = {"url": service.url, "watched_at": service.watched_at, "memory_bytes": service.memory_bytes}
        click.echo(json.dumps(told))  # one line: whoever started it reads on until it ends
    else:
        watched = f", watched at http://{service.watched_at}" if service.watched_at else ""
        click.echo(
            f"serving {store.url} at {service.url}{watched}, {format_bytes(service.memory_bytes)} for extraction"
        )
    sys.stdout.flush()
