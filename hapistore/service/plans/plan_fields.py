"""Fields of a request that may be left out, each within bounds; and none that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UsageError
from ...planning.json_fields import field, line, number, shown, whole


class Fields:
    """A parsed JSON object, read field by field. A field that is null counts as left out.

    Args:
        where: the object's path, for messages.

    Raises:
        UsageError: in every method: the field is missing, or holds something else than it may.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}: found {shown(value)}, expected an object")
        self._fields = {key: item for key, item in value.items() if item is not None}
        self._where, self._known = where, set[str]()

    def text(self, key: str, default: str | None = None) -> str:
        """A text of one line."""
        if default is not None and self._left_out(key):
            return default
        return line(self._fields, self._name(key), self._path(key))

    def optional_text(self, key: str) -> str | None:
        """A text of one line, or None."""
        return None if self._left_out(key) else self.text(key)

    def one_of(self, key: str, known: tuple[str, ...], default: str) -> str:
        """One of some words."""
        found = self.text(key, default)
        if found not in known:
            raise UsageError(f"{self._path(key)}: found {shown(found)}, expected one of {', '.join(known)}")
        return found

    def flag(self, key: str) -> bool:
        """True or false; false by default."""
        found = self._fields.get(self._name(key), False)
        if not isinstance(found, bool):
            raise UsageError(f"{self._path(key)}: found {shown(found)}, expected true or false")
        return found

    def number(self, key: str, default: float | None = None, *, most: float | None = None) -> float:
        """A number of bytes or seconds."""
        if default is not None and self._left_out(key):
            return default
        return self._at_most(key, number(self._fields, self._name(key), self._path(key)), most)

    def optional_number(self, key: str) -> float | None:
        """A number of bytes or seconds, or None."""
        return None if self._left_out(key) else self.number(key)

    def whole(self, key: str, default: int, *, most: int) -> int:
        """A whole number, at least 1."""
        if self._left_out(key):
            return default
        found = whole(self._fields, self._name(key), self._path(key), least=1)
        return int(self._at_most(key, found, most))

    def index_or_name(self, key: str) -> int | str | None:
        """A whole number from 0, or a text of one line, or None."""
        if self._left_out(key):
            return None
        found = field(self._fields, self._name(key), self._path(key))
        if isinstance(found, str):
            return self.text(key)
        return whole(self._fields, key, self._path(key))

    def anything(self, key: str) -> Any:
        """What is there, unread; or None."""
        return self._fields.get(self._name(key))

    def check_all_known(self) -> None:
        """After all that is known was asked for."""
        more = sorted(map(str, set(self._fields) - self._known))
        if more:
            known = ", ".join(sorted(self._known))
            raise UsageError(f"{self._where}: found the field {shown(more[0])}, expected only {known}")

    def _left_out(self, key: str) -> bool:
        return self._name(key) not in self._fields

    def _name(self, key: str) -> str:
        self._known.add(key)
        return key

    def _path(self, key: str) -> str:
        return f"{self._where}.{key}"

    def _at_most(self, key: str, found: float, most: float | None) -> float:
        if most is not None and found > most:
            raise UsageError(f"{self._path(key)}: found {found:g}, expected at most {most:g}")
        return found
