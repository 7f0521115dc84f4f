"""Root of the error tree, and the errors of stored bytes."""

from __future__ import annotations


class HapistoreError(Exception):
    """Anything hapistore raises on purpose. Its text is one line: found, expected, where, what to do."""


class FormatError(HapistoreError):
    """Stored bytes that the format does not allow.

    Attributes:
        code: stable reason code, e.g. ``bad-seal``; the specification lists them.
        where: the object's name, where it is known.
    """

    def __init__(self, code: str, detail: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {detail} [{code}]" if where else f"{detail} [{code}]")
        self.code = code
        self.detail = detail
        self.where = where

    def __reduce__(self) -> tuple[object, ...]:  # crosses process borders (loader workers) whole
        return _rebuild, (type(self), self.code, self.detail, self.where)


class DamagedError(FormatError):
    """Stored bytes that do not match their checksum, digest or seal."""


def _rebuild(kind: type[FormatError], code: str, detail: str, where: str) -> FormatError:
    return kind(code, detail, where=where)
