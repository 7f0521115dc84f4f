"""hapistore's errors across Arrow Flight, and Flight's own as hapistore's."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from pyarrow import flight

from ..errors import (
    DamagedError,
    FormatError,
    HapistoreError,
    MissingFeatures,
    NotFound,
    StoreError,
    TransientError,
    UsageError,
)

_MOST_TEXT = 2000
_PLAIN: dict[str, type[HapistoreError]] = {
    one.__name__: one for one in (NotFound, UsageError, MissingFeatures, StoreError, HapistoreError)
}
_FORMAT: dict[str, type[FormatError]] = {one.__name__: one for one in (FormatError, DamagedError)}
_CHECK_LINK = "check that the service runs and can be reached from here"
_CHECK_TOKEN = "give the token that `hapistore token` printed for this service"


def to_flight(error: HapistoreError) -> flight.FlightError:
    """What the service raises for one of hapistore's errors."""
    return flight.FlightServerError(str(error)[:_MOST_TEXT], extra_info=json.dumps(describe(error)).encode())


def describe(error: HapistoreError) -> dict[str, Any]:
    """An error as plain data."""
    if isinstance(error, TransientError):
        return {
            "error": "TransientError", "cause": error.cause[:_MOST_TEXT], "advice": error.advice[:_MOST_TEXT],
            "throttled": error.throttled, "retry_after_s": error.retry_after_s,
        }  # fmt: skip
    if isinstance(error, FormatError):
        kind = "DamagedError" if isinstance(error, DamagedError) else "FormatError"
        return {"error": kind, "code": error.code, "detail": error.detail[:_MOST_TEXT], "where": error.where}
    kind = next((one.__name__ for one in type(error).__mro__ if one.__name__ in _PLAIN), "HapistoreError")
    return {"error": kind, "message": str(error)[:_MOST_TEXT]}


def from_flight(error: BaseException) -> HapistoreError:
    """The error for one that a Flight client raised; TransientError for what is worth another try."""
    if isinstance(error, HapistoreError):
        return error
    if isinstance(error, flight.FlightUnauthenticatedError):
        return StoreError(f"the service does not know the token; {_CHECK_TOKEN}")
    if isinstance(error, flight.FlightError) and error.extra_info:
        told = read_error(error.extra_info)
        if told is not None:
            return told
    # All else is the link's, or of a service that was ended: cut off, refused, garbled, silent.
    return TransientError(_first_line(error), _CHECK_LINK, doubtful=_looks_final(error))


def _looks_final(error: BaseException) -> bool:
    """Whether an error is one of the service's program rather than of the link to it; believed when it stays."""
    passing = (flight.FlightUnavailableError, flight.FlightTimedOutError, flight.FlightCancelledError)
    return not isinstance(error, (*passing, pa.ArrowCancelled))


def read_error(extra: bytes) -> HapistoreError | None:
    """The error that JSON of `describe` is of; None where it is something else."""
    try:
        value = json.loads(extra)
        kind = value["error"]
        if kind == "TransientError":
            wait = value["retry_after_s"]
            return TransientError(
                str(value["cause"]),
                str(value["advice"]),
                throttled=bool(value["throttled"]),
                retry_after_s=None if wait is None else float(wait),
            )
        if kind in _FORMAT:
            return _FORMAT[kind](str(value["code"]), str(value["detail"]), where=str(value["where"]))
        return _PLAIN[kind](str(value["message"]))
    except (ValueError, KeyError, TypeError):
        return None  # a link garbled it: the error without it is told


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text.partition(". gRPC client debug context")[0][:300]
