"""``--cache PATH``, which the verbs of the shard cache share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import click

from ..cache import CachedShard, ShardCache
from ..errors import UsageError

_F = TypeVar("_F", bound=Callable[..., Any])

path_option = click.option(
    "--cache",
    "path",
    metavar="PATH",
    envvar="HAPISTORE_CACHE",
    show_envvar=True,
    required=True,
    help="The cache's folder on this machine.",
)
group_option = click.option("--group", metavar="NAME", help="The group that shares it, where it is another user's.")


def cache_option(function: _F) -> _F:
    """``--cache PATH`` and ``--group NAME``, handed to the verb as an opened cache."""

    @path_option
    @group_option
    @functools.wraps(function)
    def with_cache(*args: Any, path: str, group: str | None, **kwargs: Any) -> Any:
        with ShardCache(path, group=group, create=False) as cache:
            return function(*args, cache=cache, **kwargs)

    return with_cache  # type: ignore[return-value]


def choose_shards(cache: ShardCache, patterns: tuple[str, ...]) -> list[CachedShard]:
    """Shards whose key begins so, or whose name is or fits the pattern.

    Raises:
        UsageError: a pattern fits none.
    """
    shards = cache.ls()
    chosen: dict[str, CachedShard] = {}
    for pattern in patterns:
        fitting = [shard for shard in shards if shard.key.startswith(pattern) or fnmatchcase(shard.name, pattern)]
        if not fitting:
            raise UsageError(
                f"no shard in {cache.path} has a key or a name like {pattern}; `hapistore cache ls` lists them"
            )
        chosen.update((shard.key, shard) for shard in fitting)
    return list(chosen.values())
