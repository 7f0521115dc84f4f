"""How long a store that refuses a request asks to wait: RFC 9110, section 10.2.3.

obstore hands on no headers of errors, so the store is asked once more, by a signed HEAD for the same object.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import obstore
from obstore.exceptions import BaseError

_LONGEST_S = 300.0
_SIGNED_FOR = timedelta(minutes=5)


def ask_retry_after_s(client: Any, name: str, *, timeout_s: float) -> float | None:
    """Seconds that the store asks to wait; 0 where it answers again, None where it says nothing.

    Args:
        client: an obstore store that can sign.
    """
    try:
        url = obstore.sign(client, "HEAD", name, _SIGNED_FOR)
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=timeout_s):
            return 0.0
    except urllib.error.HTTPError as error:
        return parse_retry_after(error.headers.get("Retry-After"))
    except (BaseError, OSError, ValueError):  # no answer is an answer: the usual wait
        return None


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
