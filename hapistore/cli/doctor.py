"""``hapistore doctor``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from ..stores import ObjectStore
from ..stores.examining import Finding, examine
from ..stores.retrying import RetryOptions
from ..stores.retrying_store import RetryingStore
from .common import json_option, print_json, reporting_errors, store_option

_RETRY = RetryOptions(attempts=3, longest_wait_s=1.0, give_up_after_s=20.0)


@click.command("doctor", short_help="Check a store: access, promises, clock, speed.")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, as_json: bool) -> None:
    """Look at a store from this machine, and say what to fix: access, what it promises, clock, latency and speed.

    Writes small objects of its own and one of 32 MiB, and deletes them again. Exit status 1 where something is wrong.

    \b
    Example:
      hapistore doctor --store s3://bucket/prefix
    """
    findings: list[Finding] = []
    for finding in examine(_impatient(store), server_date=_server_date(store)):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json({"store": store.url, "findings": [vars(finding) for finding in findings]})
    if not all(finding.ok for finding in findings):
        sys.exit(1)


def _impatient(store: ObjectStore) -> ObjectStore:
    """The same store, given up soon: who asks what is wrong does not want to wait for it to pass."""
    if not isinstance(store, RetryingStore):
        return store
    return RetryingStore(store.inner, _RETRY, find_capabilities=store.find_capabilities)


def _server_date(store: ObjectStore) -> Callable[[], str | None] | None:
    """How to ask the server for its time, where there is one."""
    ask_head = getattr(getattr(store, "inner", None), "ask_head", None)
    if ask_head is None:
        return None

    def ask() -> str | None:
        head = ask_head(timeout_s=10.0)
        return head.headers.get("Date") if head else None

    return ask


def _print(finding: Finding) -> None:
    mark = "ok " if finding.ok else "BAD"
    click.echo(f"{mark} {finding.check:13}{finding.found}" + (f"; {finding.advice}" if finding.advice else ""))
