"""The one error: a file that is refused, and why."""

from __future__ import annotations


class Refused(Exception):
    """A file is not as the format says; ``code`` is a reason code of reading.md."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def check(holds: bool, code: str, detail: str) -> None:
    """Refuses with ``code`` unless ``holds``."""
    if not holds:
        raise Refused(code, detail)
