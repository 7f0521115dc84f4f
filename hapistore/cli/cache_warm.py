"""``hapistore cache warm``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator

import click

from hapistore_format import get_codec

from ..cache import ShardCache, choose_form
from ..catalog import View, open_view
from ..stores import ObjectStore
from ..threads import map_ahead
from ..units import format_bytes
from .cache_option import group_option, path_option
from .codecs import recipe_option
from .common import Bytes, json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress

# One request at a time leaves a slow link idle between them.
_THREADS = 8


@click.command("warm", short_help="Fetch the shards of a dataset's features before they are read.")
@click.argument("dataset")
@recipe_option
@click.option("--codec", metavar="SPEC", help="Which features.  [default: the only ones there are]")
@click.option(
    "--capacity", type=Bytes(), help="What the cache may take.  [default: as before, or half of what is free]"
)
@click.option("--reserve", type=Bytes(), help="What stays free on the disk.  [default: as before, or 1GiB]")
@click.option(
    "--form",
    type=click.Choice(["auto", "compressed", "decoded"]),
    default="auto",
    show_default=True,
    help="auto: decoded where all of it fits so, which is read in place.",
)
@reporting_errors
@path_option
@group_option
@store_option
@json_option
def warm(
    store: ObjectStore,
    path: str,
    group: str | None,
    dataset: str,
    recipe: str | None,
    codec: str | None,
    capacity: int | None,
    reserve: int | None,
    form: str,
    as_json: bool,
) -> None:
    """Fetch the feature shards of DATASET into a cache. Nothing is evicted for them: it stops where there is no room.

    Stopped, the next run fetches what is missing. Exit status 1 if not all fit.

    \b
    Example:
      hapistore cache warm pets --codec u8c+zstd --cache /nvme/hapistore --capacity 200GiB
    """
    view = open_view(store, dataset, recipe=recipe, codec=codec)
    with ShardCache(path, capacity_bytes=capacity, reserve_bytes=reserve, group=group) as cache:
        decoded = _choose_form(view, cache, form) == "decoded"
        with ShowProgress(f"cache warm {dataset}", "shards") as progress:
            found = _warm(view, cache, decoded, progress)
        usage = cache.usage()
    counts = {state: found.count(state) for state in ("present", "fetched", "no room")}
    if as_json:
        print_json({**view.identity, "cache": cache.path, "decoded": decoded, **counts, "free_bytes": usage.free_bytes})
    else:
        click.echo(f"{view}: {counts['fetched']} shards fetched, {counts['present']} there before")
        if counts["no room"]:
            click.echo(
                f"{counts['no room']} of {len(found)} shards did not fit in {format_bytes(usage.capacity_bytes)}; "
                "raise --capacity, or evict others",
                err=True,
            )
    sys.exit(1 if counts["no room"] else 0)


def _choose_form(view: View, cache: ShardCache, form: str) -> str:
    if form != "auto":
        return form
    compressed = sum(view.store.head(name).bytes for name in view.feature_names())
    decoded = view.version.rows * math.prod(view.shape) * get_codec(view.codec).quantiser.dtype.itemsize
    usage = cache.usage()
    return choose_form(compressed, decoded, usage.capacity_bytes - usage.own_bytes)


def _warm(view: View, cache: ShardCache, decoded: bool, progress: Callable[[int, int], None]) -> list[str]:
    """What became of each shard."""
    names, found, full = view.feature_names(), [], False

    def bring(name: str) -> str:
        fetched = False

        def fetch() -> memoryview:
            nonlocal fetched
            fetched = True
            return view.store.get(name)

        if full:
            return "no room"
        with cache.lease((view.store.url, name), fetch, decoded=decoded, may_evict=False) as leased:
            return ("fetched" if fetched else "present") if leased.cached else "no room"

    states: Iterator[str] = map_ahead(bring, names, threads=_THREADS, ahead=2 * _THREADS, name="hapistore-warm")
    for state in states:
        found.append(state)
        full = full or state == "no room"
        progress(len(found), len(names))
    return found
