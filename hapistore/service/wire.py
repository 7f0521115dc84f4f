"""What a client and the service say to each other: tickets, and what comes back beside the bytes. All of it is JSON.

A ticket is answered by a stream of one column of bytes. Beside its first ones stands how long the whole is, and where
in it the stream begins. Before that come messages that have neither, twice a second, while what was asked for is being
made: a link that is silent for long is broken. Small messages may be packed, see `packing`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import pyarrow as pa

from hapistore_format import Augmentation, get_codec
from hapistore_format.digests import is_digest
from hapistore_format.errors import FormatError

from ..errors import UsageError

MOST_TICKET_BYTES = 16 << 10
MOST_NAMES = 128
"""Of objects in a ticket."""
MOST_ACTION_BYTES = 16 << 20
"""Of an action's body, such as a profile of a network with many cuts."""
CHUNK_BYTES = 4 << 20
"""Arrow Flight is fastest with messages of this size."""
BEAT_S = 0.5
"""So often something crosses while an answer is being made: gRPC takes pings on a link that is silent for an attack."""
BYTES = pa.schema([pa.field("bytes", pa.uint8(), nullable=False)])
"""Of every stream."""
TOKEN_HEADER = "authorization"

_MOST_NAME = 400  # of an object, or of a dataset with its version
_Ticket = TypeVar("_Ticket", bound="Ticket")


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """Something that can be asked for.

    Attributes:
        start: bytes of it that are there already, or rows.
    """

    kind = ""
    start: int = 0

    def serialise(self) -> bytes:
        """As it crosses."""
        usual = {field.name: field.default for field in fields(self)}
        value = {name: of for name, of in asdict(self).items() if of != usual[name]}
        return json.dumps({"kind": self.kind, **value}, separators=(",", ":")).encode()


@dataclass(frozen=True, kw_only=True)
class ObjectTicket(Ticket):
    """An object of the store, as it is.

    Attributes:
        stop: where it ends; None: at the object's end.
    """

    kind = "object"
    name: str
    stop: int | None = None

    def __post_init__(self) -> None:
        _check_number("start", self.start)
        if self.stop is not None:
            _check_number("stop", self.stop)
        _check_text("name", self.name)


@dataclass(frozen=True, kw_only=True)
class ObjectsTicket(Ticket):
    """Several small objects, as one that has them all, see `bundle`: the first of them, as many as are not too much.

    Attributes:
        names: of annotations. A request for each would take more bytes than they do.
    """

    kind = "objects"
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_number("start", self.start)
        if not isinstance(self.names, tuple) or not 0 < len(self.names) <= MOST_NAMES:
            raise UsageError(f"names are {self.names!r:.80}, expected a list of 1 to {MOST_NAMES}")
        for name in self.names:
            _check_text("a name", name)


@dataclass(frozen=True, kw_only=True)
class MissingTicket(Ticket):
    """Which rows of a dataset version have no features, as `missing_list` says it.

    Attributes:
        dataset: a version, such as ``pets@7``. recipe: a digest.
    """

    kind = "missing"
    dataset: str
    recipe: str
    codec: str

    def __post_init__(self) -> None:
        _check_number("start", self.start)
        _check_text("dataset", self.dataset)
        _check_digest("recipe", self.recipe)
        _check_text("codec", self.codec)
        get_codec(self.codec)


@dataclass(frozen=True, kw_only=True)
class FeaturesTicket(Ticket):
    """The features of one image shard as a feature shard, made where there are none.

    Attributes:
        dataset: a version that has the shard, such as ``pets@7``; images: the shard's digest.
        recipe: digest of the recipe of images as they are.
        augmentation: the variant that is wanted; None: of images as they are.
        keep: whether what is made is stored.
    """

    kind = "features"
    dataset: str
    recipe: str
    codec: str
    images: str
    augmentation: Augmentation | None = None
    keep: bool = True

    def __post_init__(self) -> None:
        _check_number("start", self.start)
        _check_text("dataset", self.dataset)
        _check_digest("recipe", self.recipe)
        _check_digest("images", self.images)
        _check_text("codec", self.codec)
        get_codec(self.codec)
        if not isinstance(self.keep, bool):
            raise UsageError(f"keep is {self.keep!r:.40}, expected true or false")


@dataclass(frozen=True, kw_only=True)
class RowsTicket(FeaturesTicket):
    """The same, row after row from ``start`` on, as they are made: a stream of small feature shards in codec f32."""

    kind = "rows"


_KINDS: dict[str, type[Ticket]] = {
    one.kind: one for one in (ObjectTicket, ObjectsTicket, MissingTicket, FeaturesTicket, RowsTicket)
}


def parse_ticket(data: bytes) -> Ticket:
    """A ticket from whoever sent it.

    Raises:
        UsageError: it is none; the message says what is wrong with it.
    """
    if len(data) > MOST_TICKET_BYTES:
        raise UsageError(f"the ticket has {len(data):,} bytes, expected {MOST_TICKET_BYTES:,} at most")
    value = parse_object(data, "the ticket")
    kind = value.pop("kind", None)
    of = _KINDS.get(kind) if isinstance(kind, str) else None
    if of is None:
        raise UsageError(f"the ticket's kind is {kind!r:.40}, expected one of {', '.join(_KINDS)}")
    known = {field.name for field in fields(of)}
    if unknown := sorted(set(value) - known):
        raise UsageError(f"a ticket of kind {kind} has no field {unknown[0]!r:.40}; it has {', '.join(sorted(known))}")
    if isinstance(value.get("names"), list):
        value["names"] = tuple(value["names"])
    if isinstance(value.get("augmentation"), dict):
        value["augmentation"] = _augmentation(value["augmentation"])
    elif value.get("augmentation") is not None:
        raise UsageError(f"augmentation is {value['augmentation']!r:.40}, expected an object")
    try:
        return of(**value)
    except TypeError as error:
        raise UsageError(f"a ticket of kind {kind} lacks a field: {error}") from error


def parse_object(data: bytes | memoryview, what: str) -> dict[str, Any]:
    """A JSON object from whoever sent it.

    Raises:
        UsageError: it is none.
    """
    try:
        value = json.loads(bytes(data), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is not JSON: {error!s:.120}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{what} is {type(value).__name__}, expected an object of JSON")
    return value


def beside(**value: Any) -> pa.Buffer:
    """What stands beside a message's bytes."""
    return pa.py_buffer(json.dumps(value, separators=(",", ":")).encode())


def read_beside(data: pa.Buffer | None) -> Mapping[str, Any]:
    """What stood beside a message; nothing of one that had nothing."""
    return json.loads(data.to_pybytes()) if data is not None and data.size else {}


def batch_of(data: memoryview | bytes) -> pa.RecordBatch:
    """A message with these bytes, which are not copied."""
    values = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
    return pa.RecordBatch.from_arrays([values], schema=BYTES)


def bytes_of(batch: pa.RecordBatch) -> memoryview:
    """A message's bytes, which are not copied."""
    values = batch.column(0)
    whole = values.buffers()[1]
    if whole is None or not len(values):
        return memoryview(b"")
    return memoryview(whole)[values.offset : values.offset + len(values)]


def _augmentation(value: dict[str, Any]) -> Augmentation:
    try:
        return Augmentation.from_json(value, where="the ticket")
    except FormatError as error:
        raise UsageError(str(error)) from error


def _check_number(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise UsageError(f"{name} is {value!r:.40}, expected a whole number from 0 on")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_NAME:
        raise UsageError(f"{name} is {value!r:.80}, expected text of 1 to {_MOST_NAME} characters")


def _check_digest(name: str, value: Any) -> None:
    if not is_digest(value):
        raise UsageError(f"{name} is {value!r:.80}, expected a digest of 64 hexadecimal digits")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")
