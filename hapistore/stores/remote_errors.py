"""What obstore's errors mean: which may pass when tried again, and what to check about those that do not.

obstore says in its text what a server answered, and only there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from obstore.exceptions import AlreadyExistsError, BaseError

from ..errors import AlreadyExists, NotFound, StoreError, TransientError

_STATUS = re.compile(r"status code: (\d{3}) ?([^:\n]*)")
_CODE = re.compile(r"<Code>(\w{1,80})</Code>|\"code\": ?\"(\w{1,80})\"")
_KIND = re.compile(r"kind: (Connect|Timeout|Interrupted|Body|Request|Decode)\b")
_THROTTLED = {429, 503}
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
# Another conditional write of the same object is under way: who wins is not said yet (S3's API reference, PutObject).
_UNDECIDED = {"ConditionalRequestConflict", "OperationAborted"}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_TOO_LARGE = "EntityTooLarge"
# What was received is not what was sent; the store has refused it.
_GARBLED = {"BadDigest", "XAmzContentSHA256Mismatch"}

_CHECK_NETWORK = "check that the endpoint is right and can be reached from here"
_CHECK_STALL = "check the link, and how busy the store is"
_CHECK_STORE = "check the store's health; the request itself is fine"
_CHECK_LINK = "check the link and any proxy on it, or use https"
_CHECK_CREDENTIALS = "check the credentials, what they may do in this bucket, and this machine's clock"
_CHECK_BUCKET = "check the bucket's name, the region and the endpoint; hapistore creates no buckets"
_CHECK_REQUEST = "check region and endpoint, and whether this store has conditional writes"


class Answer(NamedTuple):
    """What is known of a failed request: HTTP status and the store's own code, where there were any."""

    status: int | None
    code: str
    detail: str

    @classmethod
    def of(cls, error: BaseException) -> Answer:
        text = str(error).partition("Debug source")[0]
        status, code = _STATUS.search(text), _CODE.search(text)
        named = next(filter(None, code.groups()), "") if code else ""
        if status:
            said = f"the store answered {status[1]} {status[2].strip()}".strip() + (f" ({named})" if named else "")
            return cls(int(status[1]), named, said)
        first = text.strip().split("\n")[0]
        return cls(None, named, first.rpartition(" - ")[2] or first)


def translate(error: BaseException, operation: str, name: str) -> StoreError:
    """The error to raise for one of obstore's; TransientError for what is worth another try.

    Nearly every refusal is worth one: a link that garbles requests makes a store refuse them for any reason.
    """
    answer = Answer.of(error)
    if answer.code in _NO_BUCKET:
        return StoreError(f"{name}: {operation} failed: there is no such bucket; {_CHECK_BUCKET}")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"there is no object {name}")
    if isinstance(error, AlreadyExistsError) and answer.code not in _UNDECIDED:
        return AlreadyExists(f"{name} exists already")
    if answer.status is None:
        return _without_answer(error, answer, f"{name}: {operation} failed")
    if answer.status in _PASSING:
        return TransientError(answer.detail, _CHECK_STORE, throttled=answer.status in _THROTTLED)
    if answer.code in _GARBLED:
        return TransientError("the store received other bytes than were sent", _CHECK_LINK)
    if answer.code == _TOO_LARGE:
        return StoreError(f"{name}: {operation} failed: {answer.detail}; make shards smaller")
    advice = _CHECK_CREDENTIALS if answer.status in (401, 403) else _CHECK_REQUEST
    return TransientError(answer.detail, advice, doubtful=True)


def _without_answer(error: BaseException, answer: Answer, failed: str) -> StoreError:
    """No server, half an answer, or one that makes no sense."""
    if not isinstance(error, BaseError):
        return StoreError(f"{failed}: {answer.detail}; {_CHECK_REQUEST}")
    kind = _KIND.search(str(error))
    if kind is None:
        return TransientError(answer.detail, _CHECK_REQUEST, doubtful=True)
    if kind[1] == "Connect":
        return TransientError("no connection to the store", _CHECK_NETWORK)
    if kind[1] == "Timeout":
        return TransientError("the store did not answer in time", _CHECK_STALL)
    return TransientError("the connection broke off", _CHECK_STALL)
