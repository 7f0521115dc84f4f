"""What every verb shares: options, errors, results."""

from __future__ import annotations

import errno
import functools
import json
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from ..errors import FormatError, HapistoreError, UsageError
from ..stores import ObjectStore, open_store
from ..units import parse_bytes, parse_rate, parse_seconds

_F = TypeVar("_F", bound=Callable[..., Any])


class Bytes(click.ParamType):
    """A size such as ``64MiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_bytes(value)
        except ValueError as error:
            self.fail(str(error), param, context)


class Seconds(click.ParamType):
    """A length of time such as ``7d``, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_seconds(value)
        except ValueError as error:
            self.fail(str(error), param, context)


class Rate(click.ParamType):
    """A rate such as ``1Gbit/s``, in bytes per second."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_rate(value)
        except ValueError as error:
            self.fail(str(error), param, context)


_url_option = click.option(
    "--store",
    "store_url",
    metavar="URL",
    envvar="HAPISTORE_STORE",
    default="./hapistore-data",
    show_default=True,
    show_envvar=True,
    help="Where the data lives: a folder, or s3://bucket/prefix, gs://… or az://… (with ?endpoint=URL behind it).",
)


def store_option(function: _F) -> _F:
    """``--store URL``, handed to the verb as an opened store."""

    @_url_option
    @functools.wraps(function)
    def with_store(*args: Any, store_url: str, **kwargs: Any) -> Any:
        return function(*args, store=open_for(store_url), **kwargs)

    return with_store  # type: ignore[return-value]


def committing_store_option(function: _F) -> _F:
    """The same for verbs that commit versions, with ``--single-writer``."""

    @_url_option
    @click.option(
        "--single-writer",
        is_flag=True,
        help="Nothing else writes to this store: needed where it cannot create objects atomically.",
    )
    @functools.wraps(function)
    def with_store(*args: Any, store_url: str, single_writer: bool, **kwargs: Any) -> Any:
        return function(*args, store=open_for(store_url, sole_writer=single_writer), **kwargs)

    return with_store  # type: ignore[return-value]


def open_for(url: str, *, sole_writer: bool = False) -> ObjectStore:
    """Open a store, or end with what is wrong with its URL."""
    try:
        return open_store(url, sole_writer=sole_writer)
    except HapistoreError as error:
        fail(error)
    except OSError as error:
        _fail_of_system(error)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def reporting_errors(function: _F) -> _F:
    """hapistore's errors as one line on stderr and an exit status."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
        # Pillow warns of odd EXIF blocks and large images; what matters of that is an error of ours.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            return function(*args, **kwargs)
        except HapistoreError as error:
            fail(error)
        except OSError as error:
            _fail_of_system(error)
        except KeyboardInterrupt:
            click.echo("interrupted; what was stored stays, the next run does only what is missing", err=True)
            sys.exit(130)

    return guarded  # type: ignore[return-value]


def fail(error: HapistoreError) -> NoReturn:
    """Print the error and leave."""
    usage = isinstance(error, UsageError) or (isinstance(error, FormatError) and error.code == "unknown-codec")
    click.echo(f"error: {error}", err=True)
    sys.exit(2 if usage else 1)


def _fail_of_system(error: OSError) -> NoReturn:
    """An error of the operating system that no room has named: a source that cannot be read, a disk that is full."""
    if error.errno == errno.EPIPE:  # whoever read our output has gone; click leaves quietly
        raise error
    fail(HapistoreError(f"{error.filename or 'the system'}: {error.strerror or error}"))


def print_json(value: dict[str, Any]) -> None:
    """The one object that ``--json`` prints."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
