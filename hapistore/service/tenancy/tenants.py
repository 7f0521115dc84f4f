"""Who may use a service, and how much: tenants, from a TOML file that holds the hashes of their tokens."""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import re
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hapistore_format.digests import is_digest

from ...errors import UsageError
from ...units import parse_bytes

TABLE = "tenants"
TOKENS = "token_sha256"
TOKEN_PREFIX = "hapi_"
"""Begins every token, so that one that leaked is recognised for what it is."""
_MOST_TOKEN = 256  # characters; those that are made have 48
_MOST_FILE_BYTES = 4 << 20
_OTHERS_WRITE = 0o022
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PATTERN = re.compile(r"[a-z0-9._*?\[\]!-]{1,200}")


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One who uses the service.

    Attributes:
        weight: its share of the processor, against the weights of others.
        datasets: patterns of the names it is confined to; None: every dataset.
        max_requests: of it at once, those that wait included; a training job has a few.
        max_bytes: of answers and uploads in memory at once, a few feature shards.
        memory_bytes: of its extraction batches; None: its share of what there is.
        may_drain: whether it may have the service finish and end.
    """

    name: str
    weight: float = 1.0
    datasets: tuple[str, ...] | None = None
    max_requests: int = 64
    max_bytes: int = 512 << 20
    memory_bytes: int | None = None
    may_drain: bool = False

    def allows(self, dataset: str) -> bool:
        """Whether it may know of a dataset."""
        return self.datasets is None or any(fnmatchcase(dataset, pattern) for pattern in self.datasets)


ANYBODY = Tenant(name="anybody", may_drain=True)
"""Of a service without tokens."""


def is_tenant_name(text: str) -> bool:
    """Tenant names are letters, digits, dashes and underscores, 64 at most; one is taken."""
    return _NAME.fullmatch(text) is not None and text != ANYBODY.name


def token_sha256(token: str) -> str:
    """What a file keeps of a token.

    A plain hash, not a slow one with salt as passwords need: a token is 32 random bytes, which nobody guesses.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class TenantFile:
    """The tenants of a file. Thread-safe.

    Args:
        path: of the TOML file; ``hapistore token`` writes it.

    Raises:
        UsageError: it cannot be used; the message names the file and the field.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._tenants: tuple[Tenant, ...] = ()
        self._by_hash: tuple[tuple[bytes, Tenant], ...] = ()
        self.reload()

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        return self._tenants

    def reload(self) -> None:
        """Read the file again. Whoever is being served goes on with what was known of it.

        Raises:
            UsageError: it cannot be used; what was read before stays.
        """
        with self._lock:  # the last to ask wins
            read = read_tenants(self.path)
            # one assignment each: `find` sees the old or the new, never a mixture
            self._by_hash = tuple((digest.encode(), entry.tenant) for entry in read for digest in entry.hashes)
            self._tenants = tuple(entry.tenant for entry in read)

    def find(self, token: str) -> Tenant | None:
        """The tenant whose token this is; the time it takes tells nothing of the tokens there are."""
        if len(token) > _MOST_TOKEN:
            return None
        digest, found = token_sha256(token).encode(), None
        for known, tenant in self._by_hash:
            if hmac.compare_digest(known, digest):
                found = tenant
        return found


@dataclass(frozen=True, kw_only=True)
class TenantEntry:
    """A tenant as it stands in a file, with the hashes of its tokens."""

    tenant: Tenant
    hashes: tuple[str, ...]


def read_tenants(path: Path) -> list[TenantEntry]:
    """All tenants of a file, checked field by field.

    Raises:
        UsageError: it cannot be read, others can write it, or a field cannot be used.
    """
    entries = parse_tenants(_read_guarded(path), path)
    if not entries:
        raise UsageError(f"{path} has no tenants; make one with `hapistore token NAME --file {path}`")
    return entries


def parse_tenants(text: str, path: Path) -> list[TenantEntry]:
    """The same of a file's text, which may have none.

    Raises:
        UsageError: a field cannot be used.
    """
    document = _load_toml(text, path)
    tables = document.get(TABLE, {})
    if document.keys() - {TABLE} or not isinstance(tables, dict):
        other = ", ".join(sorted(document.keys() - {TABLE})) or f"{TABLE} = …"
        raise UsageError(f"{path}: found {other:.80}, expected nothing but [{TABLE}.NAME] tables")
    entries, owners = [], dict[str, str]()
    for name, values in tables.items():
        entry = _read_entry(path, name, values)
        for digest in entry.hashes:
            if digest in owners:
                raise UsageError(
                    f"{path}, tenant {name}, field {TOKENS}: {digest[:12]}… stands at tenant {owners[digest]} already; "
                    "a token is one tenant's, once"
                )
            owners[digest] = name
        entries.append(entry)
    return entries


def _read_guarded(path: Path) -> str:
    """A file's text, if nobody but its owner could have written it: who writes it, lets himself in."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & _OTHERS_WRITE or status.st_uid not in (0, os.geteuid()):
                raise UsageError(
                    f"{path}: others can write it (mode {stat.S_IMODE(status.st_mode):04o}, user {status.st_uid}), and "
                    f"so let themselves in; chmod 600 {path}, and let it belong to who runs the service, or to root"
                )
            data = file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}; make it with `hapistore token NAME --file {path}`"
        ) from error
    if len(data) > _MOST_FILE_BYTES:
        raise UsageError(f"{path} is larger than {_MOST_FILE_BYTES >> 20} MiB; is it a file of tenants?")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _load_toml(text: str, path: Path) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        raise UsageError(f"{path}: reading TOML takes Python 3.11")
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError, as is an integer that is too long
        raise UsageError(f"{path}: it is no TOML: {error}") from error


def _read_entry(path: Path, name: str, values: Any) -> TenantEntry:
    if not is_tenant_name(name):
        raise UsageError(
            f"{path}: {name!r:.80} is no tenant's name: use letters, digits, - and _, 64 at most, not {ANYBODY.name!r}"
        )
    if not isinstance(values, dict):
        raise UsageError(f"{path}, tenant {name}: found {values!r:.80}, expected a table [{TABLE}.{name}]")
    found: dict[str, Any] = {}
    for field, value in values.items():
        where = f"{path}, tenant {name}, field {field:.80}"
        if field not in FIELDS:
            raise UsageError(f"{where}: there is no such field; there are {', '.join(FIELDS)}")
        attribute, read = FIELDS[field]
        try:
            found[attribute] = read(value)
        except ValueError as error:
            raise UsageError(f"{where}: found {value!r:.80}, {error}") from error
    if TOKENS not in found:
        raise UsageError(f"{path}, tenant {name}, field {TOKENS}: it is absent; write {TOKENS} = [] to let nobody in")
    hashes = found.pop(TOKENS)
    return TenantEntry(tenant=Tenant(name=name, **found), hashes=hashes)


def _hashes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(is_digest(one) for one in value):
        raise ValueError("expected a list of SHA-256 hashes, 64 lower-case hexadecimal digits each")
    return tuple(value)


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1e6:
        raise ValueError("expected a number above 0, a million at most")
    return float(value)


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise ValueError('expected a list of dataset names such as ["pets", "cells-*"]')
    for one in value:
        if not _PATTERN.fullmatch(one):
            raise ValueError(
                f"{one!r:.80} matches no dataset name; those are lower-case letters, digits, '.', '-', '_'"
            )
    return tuple(value)


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 1_000_000:
        raise ValueError("expected a whole number from 1 to a million")
    return value


def _size(value: Any) -> int:
    try:
        size = parse_bytes(value) if isinstance(value, str) else value
    except OverflowError:
        size = math.inf
    if type(size) is not int or not 1 <= size < 1 << 62:
        raise ValueError('expected a size such as "256MiB"')
    return size


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("expected true or false")
    return value


FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    TOKENS: (TOKENS, _hashes),
    "weight": ("weight", _positive),
    "datasets": ("datasets", _patterns),
    "max-requests": ("max_requests", _count),
    "max-bytes": ("max_bytes", _size),
    "memory": ("memory_bytes", _size),
    "may-drain": ("may_drain", _flag),
}
"""Of a tenant's table: the attribute each becomes, and what reads its value."""
