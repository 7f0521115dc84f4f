"""Keys for rows that may have none: a column of texts, else the images' own paths, else file and row."""

from __future__ import annotations

from collections.abc import Iterable

from .keys import problem_of_key


class Uniqueness:
    """Whether texts can be keys: all there, all different.

    Holds 16 bytes a text: two of 2**128 being alike by chance does not happen.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self.holds = True

    def add(self, texts: Iterable[str | None]) -> None:
        """Look at some more; nothing is kept once they are no keys."""
        from xxhash import xxh3_128_digest

        if not self.holds:
            return
        for text in texts:
            if text is None or problem_of_key(text):
                self.holds = False
                break
            digest = xxh3_128_digest(text.encode())
            if digest in self._seen:
                self.holds = False
                break
            self._seen.add(digest)
        if not self.holds:
            self._seen.clear()
