"""How long a store that refuses a request asks to wait: RFC 9110, section 10.2.3."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from .signed_head import ask_head

_LONGEST_S = 300.0


def ask_retry_after_s(client: Any, name: str, *, timeout_s: float) -> float | None:
    """Seconds that the store asks to wait, asked once more; 0 where it answers again, None where it says nothing."""
    head = ask_head(client, name, timeout_s=timeout_s)
    if head is None:
        return None
    return 0.0 if head.status < 300 else parse_retry_after(head.headers.get("Retry-After"))


def parse_retry_after(value: str | None) -> float | None:
    """A number of seconds, or a date; None where it is neither."""
    if value is None:
        return None
    try:
        seconds = float(int(value)) if value.isdigit() else _seconds_until(parsedate_to_datetime(value))
    except (ValueError, TypeError):
        return None
    return min(_LONGEST_S, max(0.0, seconds))


def _seconds_until(when: datetime) -> float:
    return (when - datetime.now(timezone.utc)).total_seconds()
