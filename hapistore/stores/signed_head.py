"""A server's headers, which obstore does not hand on: by a HEAD that obstore signs and Python sends."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import timedelta
from email.message import Message
from http.client import HTTPException
from typing import Any, NamedTuple

import obstore
from obstore.exceptions import BaseError

_SIGNED_FOR = timedelta(minutes=5)


class Head(NamedTuple):
    """What a server answered."""

    status: int
    headers: Message


def ask_head(client: Any, name: str, *, timeout_s: float) -> Head | None:
    """Status and headers for an object, there or not; None where there is no answer.

    Args:
        client: an obstore store that can sign.
    """
    try:
        request = urllib.request.Request(obstore.sign(client, "HEAD", name, _SIGNED_FOR), method="HEAD")
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return Head(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        return Head(error.code, error.headers)
    except (BaseError, OSError, HTTPException, ValueError):
        return None  # who asks has another way to go on without
