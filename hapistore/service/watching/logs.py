"""Logs of a server, a line an event: JSON for machines, or text for people."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import IO, Any

FORMATS = ("json", "text")
"""What ``--log-format`` takes."""
_FIELDS = "hapistore_fields"  # attribute of a log record
_LONGEST = 4096  # characters of one value: clients' names and messages stand in logs
_NOT_LOGGED = re.compile(r"token|authori[sz]ation|password|secret", re.IGNORECASE)
# What may be a token: of a header, or of an address or a mapping that was logged with one.
_SECRETS = (
    re.compile(r"""(\bbearer)\s+[^\s"']+""", re.IGNORECASE),
    re.compile(r"""(\b(?:token|authori[sz]ation)["']?\s*[=:])\s*["']?[^\s"']+""", re.IGNORECASE),
)


def set_up_logging(format: str, *, level: int = logging.INFO, stream: IO[str] | None = None) -> None:
    """Have all of hapistore's loggers, and warnings of others, write to a stream (default: stderr).

    Args:
        format: one of `FORMATS`.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    root, ours = logging.getLogger(), logging.getLogger("hapistore")
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    ours.setLevel(level)


def log_request(
    logger: logging.Logger,
    message: str,
    *,
    tenant: str,
    request_id: str,
    kind: str,
    outcome: str = "ok",
    seconds: float | None = None,
    bytes: int | None = None,
    level: int = logging.INFO,
    error: BaseException | None = None,
    **more: Any,
) -> None:
    """Log one request with what is known of it; None is left out.

    Args:
        more: further fields: texts, numbers and truth values as they are, anything else as its text. Never a token:
            a field whose name says that it holds one is left out.
    """
    fields = {
        "tenant": tenant,
        "request": request_id,
        "kind": kind,
        "outcome": outcome,
        "seconds": seconds,
        "bytes": bytes,
    }
    if error is not None:
        fields |= {"error": f"{type(error).__name__}: {error}"}
    known = {key: value for key, value in {**fields, **more}.items() if value is not None}
    logger.log(level, "%s", message, extra={_FIELDS: known})


class JsonLines(logging.Formatter):
    """One JSON object a line, of ASCII only: nothing that a client sends ends a line or moves a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        # Fields first, so that none takes the place of what stands below.
        told: dict[str, Any] = _fields_of(record)
        told |= {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        if record.exc_info:
            told["traceback"] = _text(self.formatException(record.exc_info))
        order = ("time", "level", "logger", "message", *told)
        return json.dumps({key: told[key] for key in order}, ensure_ascii=True, allow_nan=False)


class TextLines(logging.Formatter):
    """The same for people: ``time level logger: message key=value …``."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time_of(record)} {record.levelname.lower()} {record.name}: {_one_line(record.getMessage())}"
        line += "".join(f" {_one_line(key)}={_one_line(str(value))}" for key, value in _fields_of(record).items())
        if record.exc_info:
            line += f" traceback={_one_line(self.formatException(record.exc_info))}"
        return line


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    fields: Mapping[str, Any] = getattr(record, _FIELDS, {})
    return {key: _plain(value) for key, value in fields.items() if not _NOT_LOGGED.search(key)}


def _plain(value: Any) -> Any:
    """What JSON has, exactly; the text of anything else."""
    if isinstance(value, (bool, int)) or value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _text(str(value))


def _text(text: str) -> str:
    """Without what may be a token, and not without end."""
    for secret in _SECRETS:
        text = secret.sub(r"\1 …", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _one_line(text: str) -> str:
    """Printable: all else as Python escapes it."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in _text(text))


def _time_of(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, to the millisecond."""
    when = datetime.fromtimestamp(record.created, timezone.utc)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"
