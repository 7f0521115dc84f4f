"""The engine's errors.

::

    HapistoreError                 (hapistore_format.errors: root of the tree)
    ├── FormatError                stored bytes are not what the format allows  (hapistore_format)
    │   └── DamagedError           a checksum does not match                    (hapistore_format)
    ├── UsageError                 what was asked for cannot be done as asked; nothing was written
    ├── StoreError                 an object store failed
    │   ├── NotFound
    │   ├── AlreadyExists
    │   └── TransientError         it may succeed when tried again
    │       └── Busy               a service has as much to do as it may
    ├── ImageError                 encoded bytes that are no usable image
    ├── MissingObjects             what a version names, or is about to, is not in the store
    ├── MissingFeatures            a view whose feature shards are not all extracted
    ├── OutOfMemory                an executor could not hold its extraction batch
    └── ExecutorFailed             an executor could not run its extraction batch, and a smaller one may pass
"""

from __future__ import annotations

from collections.abc import Sequence

from hapistore_format.errors import DamagedError, FormatError, HapistoreError

__all__ = [
    "AlreadyExists",
    "Busy",
    "DamagedError",
    "ExecutorFailed",
    "FormatError",
    "HapistoreError",
    "ImageError",
    "MissingFeatures",
    "MissingObjects",
    "NotFound",
    "OutOfMemory",
    "StoreError",
    "TransientError",
    "UsageError",
]


class UsageError(HapistoreError):
    """The request cannot be carried out as asked (exit status 2). Nothing was written."""


class StoreError(HapistoreError):
    """An object store could not do what it was asked."""


class NotFound(StoreError):
    """There is no object of that name."""


class AlreadyExists(StoreError):
    """Create-if-absent lost: the object is there already."""


class TransientError(StoreError):
    """What a store could not do for the moment, and may do when it is tried again.

    Args:
        cause: what went wrong; advice: what to check if it stays.
        throttled: whether the store asked for fewer requests.
        doubtful: whether it looks final, but may come of a request or an answer that was garbled on its way.
        retry_after_s: how long it asked to wait, where it did.
    """

    def __init__(
        self,
        cause: str,
        advice: str,
        *,
        throttled: bool = False,
        doubtful: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{cause}; {advice}")
        self.cause, self.advice = cause, advice
        self.throttled, self.doubtful, self.retry_after_s = throttled, doubtful, retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_transient, (self.cause, self.advice, self.throttled, self.doubtful, self.retry_after_s)


def _rebuild_transient(
    cause: str, advice: str, throttled: bool, doubtful: bool, retry_after_s: float | None
) -> TransientError:
    return TransientError(cause, advice, throttled=throttled, doubtful=doubtful, retry_after_s=retry_after_s)


class Busy(TransientError):
    """A service has as much to do as it may, of one tenant or of all; nothing was begun."""

    def __init__(self, cause: str, advice: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(cause, advice, throttled=True, retry_after_s=retry_after_s)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_busy, (self.cause, self.advice, self.retry_after_s)


def _rebuild_busy(cause: str, advice: str, retry_after_s: float | None) -> Busy:
    return Busy(cause, advice, retry_after_s=retry_after_s)


class ImageError(HapistoreError):
    """Encoded bytes that cannot be used as an image.

    Attributes:
    reason: a short code: ``empty``, ``not-an-image``, ``unsupported-format`` (an image, of a format that is not
        read), ``too-many-pixels``, ``truncated``, ``undecodable``; of files ``unreadable-file``, ``too-large``;
        of what is said beside it ``bad-metadata``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class MissingFeatures(HapistoreError):
    """Some image shards of the dataset version have no feature shard in this recipe and codec yet."""


class MissingObjects(HapistoreError):
    """Objects that a version names, or is about to name, are not in the store.

    Attributes:
        names: theirs.
    """

    def __init__(self, names: Sequence[str]) -> None:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        super().__init__(f"{', '.join(names[:3])}{more}: not in the store any more")
        self.names = tuple(names)

    def __reduce__(self) -> tuple[object, ...]:
        return MissingObjects, (self.names,)


class OutOfMemory(HapistoreError):
    """The extraction batch did not fit in memory; a smaller one may.

    Attributes:
        killed: told from a SIGKILL, which anyone may have sent.
    """

    def __init__(self, message: str, *, killed: bool = False) -> None:
        super().__init__(message)
        self.killed = killed


class ExecutorFailed(HapistoreError):
    """An extraction batch that ended its executor, or that this raised an error for; a smaller one may pass.

    Attributes:
        reason: a code: ``failed`` (an error), ``crashed`` (its process ended), ``hung`` (it did not answer).
        killed: it ended by SIGKILL.
    """

    def __init__(self, reason: str, detail: str, *, killed: bool = False) -> None:
        super().__init__(f"{detail} [{reason}]")
        self.reason, self.detail, self.killed = reason, detail, killed

    def __reduce__(self) -> tuple[object, ...]:
        return ExecutorFailed, (self.reason, self.detail), {"killed": self.killed}
