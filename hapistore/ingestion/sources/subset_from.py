"""Subsets that a source does not say itself: from a column, from folders, or drawn."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
from xxhash import xxh3_64_intdigest

from hapistore_format import SUBSETS

from ...errors import UsageError
from .protocol import Chunk, Listing, Source
from .subset_names import subset_called

_EXPECTED = "column:NAME, folder:LEVEL, random:val=0.1,test=0.1,seed=0 or stratified:val=0.1,test=0.1,seed=0"
_CODES: tuple[str | None, ...] = SUBSETS
_Assign = Callable[[Chunk], list["str | None"]]


class SubsetFrom:
    """A source with other subsets.

    Args:
        rule: one of

            ``column:NAME``
                what the column says; ``training``, ``validation``, ``valid``, ``dev`` and ``testing`` are understood.
            ``folder:LEVEL``
                the key's folder, 0 at the top.
            ``random:val=0.1,test=0.1,seed=0``
                by a hash of seed and key, so that a record stays in its subset whatever is added or removed. Shares
                hold as they do for coins: of each label too, but not to the record.
            ``stratified:val=0.1,test=0.1,seed=0``
                of each label exactly (rounded) so many, those with the lowest hashes. The source is listed twice, and
                records may change their subset where others are added.

    Raises:
        UsageError: the rule is none of these.
    """

    def __init__(self, source: Source, rule: str) -> None:
        self._source = source
        kind, _, rest = rule.partition(":")
        makers: dict[str, Callable[[str], Callable[[], _Assign]]] = {
            "column": self._of_column,
            "folder": self._of_folder,
            "random": self._random,
            "stratified": self._stratified,
        }
        if kind not in makers or not rest:
            raise UsageError(f"subsets from {rule!r}: expected {_EXPECTED}")
        self._begin = makers[kind](rest)

    def listing(self) -> Listing:
        assign = self._begin()
        listing = self._source.listing()
        return replace(listing, chunks=_assigned(listing, assign))

    def _of_column(self, name: str) -> Callable[[], _Assign]:
        def assign(chunk: Chunk) -> list[str | None]:
            names = chunk.annotations.column_names
            if name not in names:
                raise UsageError(f"subsets from column {name!r}: there is none; there are {', '.join(names)}")
            keys, values = chunk.annotations["key"].to_pylist(), chunk.annotations[name].to_pylist()
            return [
                None if value is None else _known(value, f"column {name!r}", key)
                for key, value in zip(keys, values, strict=True)
            ]

        return lambda: assign

    def _of_folder(self, text: str) -> Callable[[], _Assign]:
        if not (text.isascii() and text.isdigit()):
            raise UsageError(f"subsets from folder:{text}: expected a level, 0 is the top folder")
        level = int(text)

        def assign(chunk: Chunk) -> list[str | None]:
            return [_folder(key, level) for key in chunk.annotations["key"].to_pylist()]

        return lambda: assign

    def _random(self, text: str) -> Callable[[], _Assign]:
        val, test, seed = _shares(text)

        def assign(chunk: Chunk) -> list[str | None]:
            drawn = (_draw(key, seed) / 2**64 for key in chunk.annotations["key"].to_pylist())
            return ["test" if at < test else "val" if at < test + val else "train" for at in drawn]

        return lambda: assign

    def _stratified(self, text: str) -> Callable[[], _Assign]:
        val, test, seed = _shares(text)

        def begin() -> _Assign:
            codes = _rank(self._source.listing(), val, test, seed)
            at = 0

            def assign(chunk: Chunk) -> list[str | None]:
                nonlocal at
                start, at = at, at + chunk.annotations.num_rows
                if at > len(codes):
                    raise UsageError("the source lists more records than a moment ago; ingest again when it rests")
                return [_CODES[code] for code in codes[start:at]]

            return assign

        return begin


def _assigned(listing: Listing, assign: _Assign) -> Iterator[Chunk]:
    for chunk in listing.chunks:
        table, subsets = chunk.annotations, pa.array(assign(chunk), pa.string())
        number = table.schema.get_field_index("subset")
        if number < 0:
            table = table.append_column("subset", subsets)
        else:
            table = table.set_column(number, "subset", subsets)
        yield Chunk(annotations=table, images=chunk.images)


def _rank(listing: Listing, val: float, test: float, seed: int) -> bytearray:
    """Each record's subset, as its number in SUBSETS: the lowest hashes of each label are test, then val."""
    draws = array("Q")
    rows: defaultdict[Any, array[int]] = defaultdict(lambda: array("Q"))
    for chunk in listing.chunks:
        keys = chunk.annotations["key"].to_pylist()
        named = "label" in chunk.annotations.column_names
        labels = chunk.annotations["label"].to_pylist() if named else [None] * len(keys)
        for key, label in zip(keys, labels, strict=True):
            rows[label].append(len(draws))
            draws.append(_draw(key, seed))
    codes = bytearray(len(draws))
    for members in rows.values():
        ordered = sorted(members, key=draws.__getitem__)
        tests, both = round(len(ordered) * test), round(len(ordered) * (test + val))
        for place, row in enumerate(ordered[:both]):
            codes[row] = SUBSETS.index("test" if place < tests else "val")
    return codes


def _draw(key: str, seed: int) -> int:
    return xxh3_64_intdigest(key.encode(), seed=seed)


def _known(value: object, where: str, key: str) -> str:
    subset = subset_called(str(value).strip().lower())
    if subset is None:
        raise UsageError(f"subsets from {where}: record {key!r:.200} has {value!r:.80}, expected {', '.join(SUBSETS)}")
    return subset


def _folder(key: str, level: int) -> str:
    folders = key.split("/")[:-1]
    if level >= len(folders):
        raise UsageError(f"subsets from folder {level}: record {key!r:.200} has {len(folders)} folders")
    return _known(folders[level], f"folder {level}", key)


def _shares(text: str) -> tuple[float, float, int]:
    """Shares of val and test, and the seed."""
    said = {"val": "0", "test": "0", "seed": "0"}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if name not in said or not equals:
            raise UsageError(f"subsets from {text!r}: {part!r} is unknown; expected val=0.1,test=0.1,seed=0")
        said[name] = value
    try:
        val, test, seed = float(said["val"]), float(said["test"]), int(said["seed"])
    except ValueError:
        raise UsageError(f"subsets from {text!r}: expected numbers, as in val=0.1,test=0.1,seed=0") from None
    if not (math.isfinite(val + test) and min(val, test) >= 0 and 0 < val + test <= 1 and 0 <= seed < 2**64):
        raise UsageError(f"subsets from {text!r}: shares are above 0 and at most 1 together, a seed is not negative")
    return val, test, seed
