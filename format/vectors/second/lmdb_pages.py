"""The pages of an LMDB 0.9 file, walked in plain Python: LMDB itself believes what it reads.

Offsets are of the little-endian, 64-bit form. A page has a head of 16 bytes: its number, 2 bytes unused, flags, and
the ends of its node pointers and of its free space (of overflow pages: how many they are).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from .refused import Refused, check

MAGIC, DATA_VERSION = 0xBEEFC0DE, 1
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG = 1  # flag of a node whose value has pages of its own
NONE = (1 << 64) - 1  # root of an empty tree
TREE = struct.Struct("<IHHQQQQQ")  # pad, flags, depth, branch pages, leaf pages, overflow pages, entries, root


def read_pages(data: bytes) -> dict[bytes, bytes]:
    """Keys and values of the main database, in order (not-lmdb)."""
    try:
        return _Walk(data, *_newest_meta(data)).read()
    except struct.error:
        raise Refused("not-lmdb", "something outside of its page") from None


def _newest_meta(data: bytes) -> tuple[int, tuple[int, ...]]:
    """Page size, and the main tree of the later of the two meta pages."""
    metas = []
    (page_size,) = struct.unpack_from("<I", data, 16 + 24)
    check(page_size in (1 << bits for bits in range(9, 17)), "not-lmdb", f"pages of {page_size} bytes")
    for number in (0, 1):
        at = number * page_size
        flags = struct.unpack_from("<H", data, at + 10)[0]
        magic, version = struct.unpack_from("<II", data, at + 16)
        check(flags & META != 0 and magic == MAGIC and version == DATA_VERSION, "not-lmdb", "no meta page")
        trees = [TREE.unpack_from(data, at + 40 + 48 * n) for n in (0, 1)]
        last, transaction = struct.unpack_from("<QQ", data, at + 136)
        check(trees[0][0] == page_size, "not-lmdb", "another page size")
        metas.append((transaction, last, trees[1]))
    _, last, main = max(metas, key=lambda meta: meta[0])
    check((last + 1) * page_size == len(data), "not-lmdb", f"{len(data)} bytes for {last + 1} pages")
    check(main[1] == 0, "not-lmdb", f"flags {main[1]} of the main database")
    return page_size, main


@dataclass
class _Walk:
    data: bytes
    page_size: int
    tree: tuple[int, ...]
    pages: set[int] = field(default_factory=lambda: {0, 1})
    counts: dict[int, int] = field(default_factory=lambda: {BRANCH: 0, LEAF: 0, OVERFLOW: 0})
    found: list[tuple[bytes, bytes]] = field(default_factory=list)

    def read(self) -> dict[bytes, bytes]:
        depth, branches, leaves, overflows, entries, root = self.tree[2:]
        if root != NONE:
            self._page(root, depth, b"", None)
        counted = [self.counts[kind] for kind in (BRANCH, LEAF, OVERFLOW)]
        check(counted == [branches, leaves, overflows], "not-lmdb", "another number of pages than is said")
        check(len(self.found) == entries, "not-lmdb", "another number of entries than is said")
        return dict(self.found)

    def _take(self, number: int, count: int = 1) -> int:
        """Where a page begins, after it was found to be inside of the file and met for the first time."""
        check(number + count <= len(self.data) // self.page_size, "not-lmdb", f"page {number} outside of the file")
        taken = set(range(number, number + count))
        check(not taken & self.pages, "not-lmdb", f"page {number} is met twice")
        self.pages |= taken
        at = number * self.page_size
        check(struct.unpack_from("<Q", self.data, at)[0] == number, "not-lmdb", f"page {number} has another number")
        return at

    def _page(self, number: int, depth: int, low: bytes, high: bytes | None) -> None:
        """A page of the tree and all below it: keys from ``low`` to before ``high``."""
        at = self._take(number)
        kind, lower, upper = struct.unpack_from("<HHH", self.data, at + 10)
        check(depth > 0 and kind == (LEAF if depth == 1 else BRANCH), "not-lmdb", f"page {number} is of another kind")
        check(16 <= lower <= upper <= self.page_size, "not-lmdb", f"page {number} has impossible ends")
        self.counts[kind] += 1
        page = self.data[at : at + self.page_size]
        places = struct.unpack_from(f"<{(lower - 16) // 2}H", page, 16)
        check(bool(places) and min(places) >= upper, "not-lmdb", f"page {number} has a node in its free space")
        if kind == LEAF:
            for place in places:
                self._leaf(page, place, low, high)
            return
        children = [self._branch(page, place) for place in places]
        keys = [low, *(key for _, key in children[1:])]
        check(all(a < b for a, b in zip(keys, keys[1:], strict=False)), "not-lmdb", "keys out of order")
        for (child, _), first, end in zip(children, keys, [*keys[1:], high], strict=True):
            self._page(child, depth - 1, first, end)

    def _branch(self, page: bytes, place: int) -> tuple[int, bytes]:
        low, mid, top, size = struct.unpack_from("<HHHH", page, place)
        return low | mid << 16 | top << 32, _bytes(page, place + 8, size)

    def _leaf(self, page: bytes, place: int, low: bytes, high: bytes | None) -> None:
        low_size, high_size, flags, key_size = struct.unpack_from("<HHHH", page, place)
        size = low_size | high_size << 16
        key = _bytes(page, place + 8, key_size)
        check(not self.found or self.found[-1][0] < key, "not-lmdb", "keys out of order")
        check(low <= key and (high is None or key < high), "not-lmdb", "a key below another branch")
        check(flags in (0, BIG), "not-lmdb", f"a node with flags {flags}")
        at = place + 8 + key_size
        self.found.append((key, self._big(page, at, size) if flags else _bytes(page, at, size)))

    def _big(self, page: bytes, at: int, size: int) -> bytes:
        """A value on pages of its own."""
        count = -(-(16 + size) // self.page_size)
        start = self._take(struct.unpack_from("<Q", page, at)[0], count)
        kind, pages = struct.unpack_from("<HI", self.data, start + 10)
        check(kind == OVERFLOW and pages == count, "not-lmdb", "a value whose pages are no such")
        self.counts[OVERFLOW] += count
        return self.data[start + 16 : start + 16 + size]


def _bytes(page: bytes, at: int, size: int) -> bytes:
    check(at + size <= len(page), "not-lmdb", "a node beyond its page")
    return page[at : at + size]
