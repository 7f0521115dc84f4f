"""Rows of one image shard as they are made: in order, each exactly once, however often the stream breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hapistore_format import FeatureShardReader, write_feature_shard
from hapistore_format.errors import FormatError

from ..errors import TransientError
from .arriving import Message
from .connection import Connection
from .wire import RowsTicket

_CODEC = "f32"


class Rows(NamedTuple):
    """Some rows of an image shard, in order.

    Attributes:
        rows: int64 [n], their numbers in the shard. features: float32 [n, *shape].
    """

    rows: np.ndarray
    features: np.ndarray


def pack_rows(
    features: np.ndarray, first: int, missing: Sequence[int], *, recipe: str, images: str
) -> tuple[bytes | memoryview, dict[str, Any]]:
    """Rows ``first`` and so on as a message: a small feature shard, which has checksums, and what stands beside.

    Args:
        features: float32 [n, *shape]; missing: numbers of those among them that have none.
    """
    present = np.delete(features, [row - first for row in missing], axis=0) if missing else features
    data: bytes | memoryview = b""
    if len(present):
        data = write_feature_shard(present, codec=_CODEC, recipe=recipe, images=images, provenance={})
    return data, {"rows": [first, first + len(features)], "without": list(missing)}


class RowStream:
    """A shard's rows, through however many streams it takes.

    Args:
        count: of the shard's rows.
    """

    def __init__(self, connection: Connection, ticket: RowsTicket, count: int) -> None:
        self._connection, self._ticket, self._count = connection, ticket, count
        self._next = ticket.start
        self._messages: Iterator[Message] | None = None

    def all(self) -> Iterator[Rows]:
        """Every row from the ticket's start on that has features."""
        try:
            while self._next < self._count:
                rows = self._connection.run("reading rows of", self._ticket.images[:12], self._advance)
                if len(rows.rows):
                    yield rows
        finally:
            self._let_go()

    def _advance(self) -> Rows:
        """The next rows; the stream is another one after a break."""
        if self._messages is None:
            self._messages = self._connection.stream(replace(self._ticket, start=self._next))
        try:
            for message in self._messages:
                if "rows" in message.beside:
                    return self._take(message)
        except BaseException:
            self._let_go()
            raise
        self._let_go()
        raise TransientError(f"the stream ended before row {self._next}", "check the link to the service")

    def _take(self, message: Message) -> Rows:
        """Rows out of a message.

        Raises:
            TransientError: they are not those that come next, or damaged.
        """
        first, stop = message.beside["rows"]
        without = set(message.beside["without"])
        rows = np.array([row for row in range(first, stop) if row not in without], np.int64)
        if first != self._next or not first < stop <= self._count:
            raise TransientError(f"rows {first} to {stop} came, expected {self._next}", "check the link to the service")
        features = np.empty((0,), np.float32)
        if len(rows):
            try:
                features = FeatureShardReader(message.data, where=self._ticket.images[:12]).features()
            except FormatError as error:
                raise TransientError(
                    str(error), "check the link to the service, or use grpc+tls", doubtful=True
                ) from error
            if len(features) != len(rows):
                raise TransientError(f"{len(features)} rows came, expected {len(rows)}", "check the service's version")
        self._next = stop
        return Rows(rows, features)

    def _let_go(self) -> None:
        messages, self._messages = self._messages, None
        if messages is not None:
            with closing(messages):  # type: ignore[type-var]
                pass
