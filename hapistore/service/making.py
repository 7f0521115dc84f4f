"""One image shard's features while they are made, for all who wait for them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hapistore_format import Augmentation, DatasetVersion, MissingRow, Recipe, ShardRef, write_feature_shard

from ..catalog.features import ShardFeatures
from ..errors import HapistoreError
from .tenancy.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asks to be made.

    Attributes:
        plain: the recipe of images as they are; augmentation: the variant that is wanted, if any.
        keep: whether the features are stored. rows: whether they are wanted row by row, as they come.
    """

    tenant: Tenant
    version: DatasetVersion
    shard: ShardRef
    plain: Recipe
    augmentation: Augmentation | None
    codec: str
    keep: bool
    rows: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """Equal ones are made once."""
        return self.plain.digest, self.augmentation, self.shard.images, self.keep, self.codec if self.keep else ""

    @property
    def recipe(self) -> Recipe:
        """Of the features: the variant's, if it is one's."""
        return replace(self.plain, augmentation=self.augmentation)

    @property
    def held_bytes(self) -> int:
        """What its features take while it is made; nothing where they go straight into the store."""
        return 4 * self.shard.rows * int(np.prod(self.plain.shape)) if self.rows or not self.keep else 0


class Making:
    """The features that a wish is for, as they come. The worker tells it; requests ask it, from any thread.

    Attributes:
        wish: of whoever asked first. tag: its place in the order of all.
        askers: how many wait for it, by the tenant's name; the lanes' to count.
        ended: whether nothing more is to come.
    """

    def __init__(self, wish: Wish, tag: float) -> None:
        self.wish, self.tag = wish, tag
        self.askers: dict[str, int] = {}
        self.ended = False
        self.done = 0
        self._with_rows = wish.rows or not wish.keep
        self._have = np.zeros(wish.shard.rows, bool)
        self._features: np.ndarray | None = None
        self._missing: dict[int, MissingRow] | None = None
        self._encoded: dict[str, memoryview] = {}
        self._stored: memoryview | None = None
        self._error: HapistoreError | None = None
        self._changed = threading.Condition()
        self._encoding = threading.Lock()

    # The worker's side.

    def begin(self) -> None:
        """Rows are about to come; again, where the job had to give way."""
        with self._changed:
            if self._with_rows and self._features is None:
                self._features = np.zeros((self.wish.shard.rows, *self.wish.plain.shape), np.float32)

    def add(self, rows: Sequence[int], features: np.ndarray) -> None:
        """Some rows, float32 [n, *shape], which are copied."""
        with self._changed:
            if self._features is not None:
                new = [row for row in rows if not self._have[row]]
                places = [place for place, row in enumerate(rows) if not self._have[row]]
                self._features[new] = features[places]  # what was streamed already stays as it was
            self._have[list(rows)] = True
            self.done = int(self._have.sum())
            self._changed.notify_all()

    def finish(self, features: ShardFeatures) -> None:
        """All rows have come; some have no features."""
        with self._changed:
            self._missing = {missing.row: missing for missing in features.missing}
            self._have[:] = True
            self.done = self.wish.shard.rows
            if not self.wish.keep:
                self._end()
            self._changed.notify_all()

    def stored(self, data: bytes | memoryview | None) -> None:
        """Its object is in the store; ``data`` is what it holds, where it was written just now."""
        with self._changed:
            if data is not None and self.askers:
                self._stored = memoryview(data)
            self._end()

    def fail(self, error: HapistoreError) -> None:
        """It cannot be made; without effect where it has ended."""
        with self._changed:
            if not self.ended:
                self._error = error
                self._end()

    def _end(self) -> None:
        self.ended = True
        self._changed.notify_all()

    # The side of those who wait.

    def wait(self, seconds: float, *, row: int | None = None) -> None:
        """Until it has ended or a row is there, but not for longer than this."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.ended or (row is not None and self._rows_from(row) > row), timeout=seconds
            )

    def check(self) -> None:
        """Raises why it cannot be made, where it cannot."""
        with self._changed:
            if self._error is not None:
                raise self._error

    @property
    def failed(self) -> bool:
        """Whether it cannot be made."""
        with self._changed:
            return self._error is not None

    @property
    def has_rows(self) -> bool:
        """Whether rows can be taken before it is stored; False too before it began."""
        with self._changed:
            return self._features is not None

    def take(self, start: int, most: int) -> tuple[np.ndarray, list[int]]:
        """Rows from ``start`` on that are there, in order, at most so many: float32 [n, *shape], and the numbers of
        those among them that have no features. None before it began, and where rows go into the store only."""
        with self._changed:
            if self._features is None:
                return np.empty((0, *self.wish.plain.shape), np.float32), []
            stop = min(self._rows_from(start), start + most)
            missing = [row for row in self._missing or () if start <= row < stop]
            return self._features[start:stop], missing

    def _rows_from(self, start: int) -> int:
        """Where the rows end that have come from ``start`` on without a gap."""
        absent = np.flatnonzero(~self._have[start:])
        return start + int(absent[0]) if len(absent) else len(self._have)

    @property
    def as_stored(self) -> memoryview | None:
        """Of one that is stored and has ended: its object, where it need not be read again to know it."""
        with self._changed:
            return self._stored

    def encoded(self, codec: str) -> memoryview:
        """Of one that is not stored and has ended: the feature shard.

        Raises:
            FormatError: the codec cannot hold the features.
        """
        with self._encoding:
            if codec not in self._encoded:
                assert self._features is not None
                assert self._missing is not None
                self._encoded[codec] = write_feature_shard(
                    self._features,
                    codec=codec,
                    recipe=self.wish.recipe.digest,
                    images=self.wish.shard.images,
                    provenance={"streamed": True},
                    missing=tuple(self._missing[row] for row in sorted(self._missing)),
                )
            return self._encoded[codec]
