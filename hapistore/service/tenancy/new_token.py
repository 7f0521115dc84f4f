"""New tokens: made, and their hashes put into a file of tenants, of which all else stays as people wrote it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .tenants import (
    ANYBODY,
    TABLE,
    TOKEN_PREFIX,
    TOKENS,
    TenantEntry,
    is_tenant_name,
    parse_tenants,
    read_tenants,
    token_sha256,
)

_TOKEN_BYTES = 32


def new_token() -> str:
    """A token that nobody guesses, fit for a header and for a shell."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def add_token(path: Path, name: str, settings: Mapping[str, Any]) -> str:
    """Give a tenant another token, and make the tenant, and the file, where they are not there.

    Args:
        settings: by field of the file (``max-bytes``, …), those to set; others stay as they are.

    Returns:
        The token, which stands nowhere else.

    Raises:
        UsageError: the file, the name or a setting cannot be used; nothing was written.
    """
    if not is_tenant_name(name):
        raise UsageError(
            f"{name!r:.80} is no tenant's name: use letters, digits, - and _, 64 at most, not {ANYBODY.name!r}"
        )
    token = new_token()
    path = Path(os.path.realpath(path))  # a link stays one
    with _locked(path.parent):
        there = os.path.lexists(path) and path.stat().st_size > 0
        old = read_tenants(path) if there else []
        text = path.read_text(encoding="utf-8") if there else ""
        new = _with_token(text, name, token_sha256(token), settings, known={entry.tenant.name for entry in old})
        _require(parse_tenants(new, path), old, name, token_sha256(token), settings, path)
        _replace(path, new)
    return token


def _with_token(text: str, name: str, digest: str, settings: Mapping[str, Any], *, known: set[str]) -> str:
    """The file's text with one hash more, and some settings of its tenant changed."""
    made = f'    "{digest}",  # {datetime.now(timezone.utc):%Y-%m-%d}\n'
    if name not in known:
        lines = "".join(f"{field} = {_as_toml(value)}\n" for field, value in settings.items())
        before = text.rstrip("\n") + "\n\n" if text.strip() else ""
        return f"{before}[{TABLE}.{name}]\n{TOKENS} = [\n{made}]\n{lines}"
    head = re.search(rf"^[ \t]*\[[ \t]*{TABLE}[ \t]*\.[ \t]*{name}[ \t]*\][^\n]*(\n|\Z)", text, re.MULTILINE)
    start = head.end() if head else len(text)
    after = re.search(r"^[ \t]*\[[ \t]*\w", text[start:], re.MULTILINE)
    stop = start + after.start() if after else len(text)
    table = re.sub(
        rf"^([ \t]*{TOKENS}[ \t]*=[ \t]*\[)[ \t]*\n?",
        lambda m: f"{m[1]}\n{made}",
        text[start:stop],
        count=1,
        flags=re.M,
    )
    for field, value in settings.items():
        line = f"{field} = {_as_toml(value)}\n"
        where = re.search(rf"^[ \t]*{field}[ \t]*=[^\n]*(\n|\Z)", table, re.MULTILINE)
        table = table[: where.start()] + line + table[where.end() :] if where else line + table
    return text[:start] + ("" if text[:start].endswith("\n") else "\n") + table + text[stop:]


def _as_toml(value: Any) -> str:
    """Flags, numbers, text and lists of text are written in TOML as in JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _require(
    new: list[TenantEntry], old: list[TenantEntry], name: str, digest: str, settings: Mapping[str, Any], path: Path
) -> None:
    """What was written says what it should, and of other tenants what it said: lines are changed, not TOML."""
    others = {entry.tenant.name: entry for entry in old if entry.tenant.name != name}
    mine = next((entry for entry in new if entry.tenant.name == name), None)
    before = next((entry for entry in old if entry.tenant.name == name), None)
    values = "".join(f"{field} = {_as_toml(value)}\n" for field, value in settings.items())
    wanted = parse_tenants(f"[{TABLE}.{name}]\n{TOKENS} = []\n{values}", path)[0].tenant
    fields = {field.replace("-", "_") if field != "memory" else "memory_bytes" for field in settings}
    kept = before.tenant if before else wanted
    right = (
        {entry.tenant.name: entry for entry in new if entry.tenant.name != name} == others
        and mine is not None
        and mine.hashes == (digest, *(before.hashes if before else ()))
        and vars(mine.tenant) == {k: vars(wanted if k in fields else kept)[k] for k in vars(kept)}
    )
    if not right:
        raise UsageError(
            f"{path}, tenant {name}: it is written in a way that this command cannot change without harm; write it as "
            f"a table [{TABLE}.{name}] with a line for each setting. Nothing was written"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among those who add tokens to files of a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(f"{folder} is no folder to write to: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    """The whole new file or the whole old one, whatever happens.

    A new one is its owner's only; one that was there keeps who may read it.
    """
    old = path.stat() if path.exists() else None
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if old is not None and os.geteuid() == 0:  # others may not give files to a group
                os.fchown(descriptor, old.st_uid, old.st_gid)
            if old is not None and (os.fstat(descriptor).st_uid, os.fstat(descriptor).st_gid) == (
                old.st_uid,
                old.st_gid,
            ):
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
