"""``hapistore cache ls | stats | pin | unpin | evict | clear | check | warm``."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..cache import CachedShard, ShardCache
from ..units import format_bytes, format_seconds
from .cache_option import cache_option, choose_shards
from .cache_warm import warm
from .common import json_option, print_json, reporting_errors


@click.group("cache", short_help="The shards kept on this machine.")
def command() -> None:
    """The feature shards that are kept on this machine's disk, so that they cross the link once.

    Each verb takes --cache and --json.

    \b
    Examples:
      hapistore cache warm pets --cache /nvme/hapistore --capacity 200GiB
      hapistore cache stats --cache /nvme/hapistore
    """


command.add_command(warm)


@command.command("ls")
@reporting_errors
@cache_option
@json_option
def list_cached(cache: ShardCache, as_json: bool) -> None:
    """List the shards of a cache: form, size, age, hits, and who leases them.

    \b
    Example:
      hapistore cache ls --cache /nvme/hapistore
    """
    shards = cache.ls()
    if as_json:
        print_json({"cache": cache.path, "shards": [_to_json(shard) for shard in shards]})
        return
    if not shards:
        click.echo(f"{cache.path} is empty")
        return
    table, now = Table(box=box.SIMPLE_HEAD), time.time()
    for column in ("key", "name", "form", "size", "age", "used", "hits", "", "leased by"):
        table.add_column(column, justify="right" if column in ("size", "age", "used", "hits") else "left")
    for shard in shards:
        marks = " ".join(word for word, true in (("pinned", shard.pinned), ("sole copy", shard.sole)) if true)
        by = ", ".join(f"{info.user}@{info.host}:{info.pid}" for info in shard.leased_by)
        table.add_row(
            shard.key[:12],
            Text(_short(shard.name)),
            shard.codec,
            format_bytes(shard.disk_bytes),
            format_seconds(now - shard.created),
            f"{format_seconds(now - shard.used)} ago",
            str(shard.hits),
            marks,
            Text(by),
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _short(name: str) -> str:
    """Digests by their beginnings."""
    return "/".join(part if len(part) < 40 else f"{part[:12]}…" for part in name.split("/"))


def _to_json(shard: CachedShard) -> dict[str, Any]:
    return {**vars(shard), "leased_by": [info._asdict() for info in shard.leased_by]}


@command.command("stats")
@reporting_errors
@cache_option
@json_option
def show_stats(cache: ShardCache, as_json: bool) -> None:
    """Show how often shards were found, what that spared the link, and where the room is.

    \b
    Example:
      hapistore cache stats --cache /nvme/hapistore --json
    """
    stats = cache.stats()
    if as_json:
        print_json({"cache": cache.path, **stats})
        return
    rate = "nothing read yet" if stats["hit_rate"] is None else f"{stats['hit_rate']:.1%} of leases found their shard"
    saved, fetched = format_bytes(stats["saved_bytes"]), format_bytes(stats["fetched_bytes"])
    click.echo(f"{rate}: {stats['hits']} hits, {stats['misses']} misses ({stats['streamed']} of them not let in)")
    click.echo(f"{saved} spared the link, {fetched} fetched")
    click.echo(
        f"{stats['shards']} shards, {format_bytes(stats['stored_bytes'])} of {format_bytes(stats['capacity_bytes'])}; "
        f"{format_bytes(stats['own_bytes'])} index, {format_bytes(max(0, stats['free_bytes']))} free"
    )
    evicted = format_bytes(stats["evicted_bytes"])
    click.echo(f"{stats['evicted']} evicted ({evicted}), {stats['damaged']} found damaged; policy {stats['policy']}")
    for info in stats["processes"]:
        click.echo(f"used by {info['user']}@{info['host']}:{info['pid']} {info['command']}")


_shards_argument = click.argument("shards", metavar="SHARD…", nargs=-1, required=True)


@command.command("pin")
@_shards_argument
@reporting_errors
@cache_option
@json_option
def pin(cache: ShardCache, shards: tuple[str, ...], as_json: bool) -> None:
    """Keep shards until they are unpinned. A SHARD is the beginning of a key, or a name that may have *.

    \b
    Example:
      hapistore cache pin 'features/*' --cache /nvme/hapistore
    """
    _set_pinned(cache, shards, True, as_json)


@command.command("unpin")
@_shards_argument
@reporting_errors
@cache_option
@json_option
def unpin(cache: ShardCache, shards: tuple[str, ...], as_json: bool) -> None:
    """Let pinned shards go again when room is needed. A SHARD is the beginning of a key, or a name that may have *.

    \b
    Example:
      hapistore cache unpin 'features/*' --cache /nvme/hapistore
    """
    _set_pinned(cache, shards, False, as_json)


def _set_pinned(cache: ShardCache, patterns: tuple[str, ...], pinned: bool, as_json: bool) -> None:
    changed = cache.pin([shard.key for shard in choose_shards(cache, patterns)], pinned=pinned)
    word = "pinned" if pinned else "unpinned"
    if as_json:
        print_json({word: changed})
    else:
        click.echo(f"{word} {changed} shards")


@command.command("evict")
@_shards_argument
@click.option("--even-pinned", is_flag=True, help="Pinned ones too.")
@click.option("--even-sole", is_flag=True, help="Those too of which this is the only copy: they are lost.")
@reporting_errors
@cache_option
@json_option
def evict(cache: ShardCache, shards: tuple[str, ...], even_pinned: bool, even_sole: bool, as_json: bool) -> None:
    """Remove shards. A SHARD is the beginning of a key, or a name that may have *. What is leased stays.

    \b
    Example:
      hapistore cache evict 3f9a --cache /nvme/hapistore
    """
    chosen = choose_shards(cache, shards)
    gone = cache.evict([shard.key for shard in chosen], even_pinned=even_pinned, even_sole=even_sole)
    _print_evicted(gone, len(chosen) - gone[0], as_json)


@command.command("clear")
@click.option("--even-pinned", is_flag=True, help="Pinned shards too.")
@reporting_errors
@cache_option
@json_option
def clear(cache: ShardCache, even_pinned: bool, as_json: bool) -> None:
    """Remove every shard that is not leased, not pinned, and not the only copy.

    \b
    Example:
      hapistore cache clear --cache /nvme/hapistore
    """
    gone = cache.evict(even_pinned=even_pinned)
    _print_evicted(gone, len(cache.ls()), as_json)


def _print_evicted(gone: tuple[int, int], stayed: int, as_json: bool) -> None:
    count, size = gone
    if as_json:
        print_json({"removed": count, "removed_bytes": size, "stayed": stayed})
        return
    click.echo(f"removed {count} shards, {format_bytes(size)}")
    if stayed:
        click.echo(f"{stayed} are leased, pinned or only copies, and stay", err=True)


@command.command("check")
@click.option("--fix", is_flag=True, help="Remove what is damaged or unknown, free what is left over, count anew.")
@reporting_errors
@cache_option
@json_option
def check(cache: ShardCache, fix: bool, as_json: bool) -> None:
    """Read every byte and compare index, files, sizes, checksums and counters. Others may use the cache meanwhile.

    Exit status 1 if anything is wrong. What ended processes have left is listed and is not wrong: whoever next needs
    room takes it away.

    \b
    Example:
      hapistore cache check --fix --cache /nvme/hapistore
    """
    found = cache.check(fix=fix)
    wrong = [finding for finding in found if finding.code != "left-over"]
    if as_json:
        print_json({"cache": cache.path, "findings": [vars(finding) for finding in found], "fixed": fix})
    else:
        for finding in found:
            click.echo(f"{finding.where}: {finding.detail} [{finding.code}]")
        click.echo(
            f"{cache.path}: {f'{len(wrong)} faults' if wrong else 'all sound'}{', mended' if wrong and fix else ''}"
        )
    sys.exit(1 if wrong else 0)
