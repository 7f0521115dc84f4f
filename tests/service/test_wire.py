"""What crosses: tickets, errors, bytes that arrive in pieces; nothing of it believed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hapistore.catalog.names import annotations_name
from hapistore.errors import (
    Busy,
    DamagedError,
    FormatError,
    HapistoreError,
    MissingFeatures,
    NotFound,
    TransientError,
    UsageError,
)
from hapistore.service.arriving import Arriving, Message, Rooms
from hapistore.service.row_stream import pack_rows
from hapistore.service.wire import (
    MOST_NAMES,
    MOST_TICKET_BYTES,
    FeaturesTicket,
    MissingTicket,
    ObjectsTicket,
    ObjectTicket,
    RowsTicket,
    batch_of,
    beside,
    bytes_of,
    parse_ticket,
    read_beside,
)
from hapistore.service.wire_errors import from_flight, to_flight
from hapistore_format import Augmentation, FeatureShardReader

DIGEST = "ab" * 32
AUGMENTATION = Augmentation(seed=3, variant=7, crop_percent=(35, 100), flip=True, colour_percent=(0, 10, 20))
TICKETS = [
    ObjectTicket(name="hapistore.json"),
    ObjectTicket(name="hapistore.json", start=3, stop=9),
    FeaturesTicket(dataset="pets@7", recipe=DIGEST, codec="u8c+zstd", images=DIGEST),
    FeaturesTicket(dataset="pets", recipe=DIGEST, codec="f32", images=DIGEST, augmentation=AUGMENTATION, keep=False),
    ObjectsTicket(names=("a", "b"), start=3),
    MissingTicket(dataset="pets@7", recipe=DIGEST, codec="f32"),
    RowsTicket(dataset="pets@7", recipe=DIGEST, codec="f16", images=DIGEST, start=12),
]


@pytest.mark.parametrize("ticket", TICKETS)
def test_a_ticket_is_read_as_it_was_written(ticket):
    assert parse_ticket(ticket.serialise()) == ticket


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        [
            "kind", "name", "names", "start", "stop", "dataset", "recipe", "codec", "images", "augmentation", "keep",
            "else",
        ]
    ), inner, max_size=8),
    max_leaves=20,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_else_is_refused_in_words(data):
    try:
        parsed = parse_ticket(data)
    except (UsageError, FormatError):
        return
    assert parse_ticket(parsed.serialise()) == parsed


@pytest.mark.parametrize("change", [
    {"recipe": "xyz"}, {"codec": "u9"}, {"images": DIGEST.upper()}, {"keep": 1}, {"start": -1}, {"start": True},
    {"augmentation": {"seed": 1}}, {"augmentation": 3}, {"dataset": ""}, {"dataset": "d" * 5000}, {"kind": "nothing"},
])  # fmt: skip
def test_wrong_fields_are_named(change):
    value = {**json.loads(TICKETS[2].serialise()), **change}
    with pytest.raises((UsageError, FormatError)):
        parse_ticket(json.dumps(value).encode())


@pytest.mark.parametrize("names", [None, "ab", [], [""], [3], {"a": 1}, ["a"] * (MOST_NAMES + 1)])
def test_names_are_a_short_list_of_texts(names):
    with pytest.raises(UsageError):
        parse_ticket(json.dumps({"kind": "objects", "names": names}).encode())


def test_as_many_names_as_may_be_fit_in_a_ticket():
    ticket = ObjectsTicket(names=(annotations_name(DIGEST),) * MOST_NAMES, start=1 << 40)
    assert len(ticket.serialise()) < MOST_TICKET_BYTES


@pytest.mark.parametrize("error", [
    NotFound("no object x"), UsageError("not so"), MissingFeatures("none yet"), HapistoreError("failed"),
    FormatError("bad-seal", "it is not sealed", where="a/b"), DamagedError("bad-digest", "changed", where="a"),
])  # fmt: skip
def test_errors_cross_as_they_are(error):
    crossed = from_flight(to_flight(error))
    assert type(crossed) is type(error)
    assert str(crossed) == str(error)


def test_errors_that_pass_are_tried_again():
    crossed = from_flight(to_flight(Busy("too much", "wait", retry_after_s=2.5)))
    assert isinstance(crossed, TransientError)
    assert (crossed.cause, crossed.advice, crossed.throttled, crossed.retry_after_s) == ("too much", "wait", True, 2.5)
    unknown = to_flight(HapistoreError("x"))
    for extra in (b"", b"{}", b"[]", b'{"error": "os.system", "message": "x"}', b"\xff"):
        unknown.extra_info = extra
        assert isinstance(from_flight(unknown), TransientError)


@given(st.binary(max_size=5000))
def test_bytes_cross_as_they_are(data):
    assert bytes(bytes_of(batch_of(data))) == data
    assert bytes(bytes_of(batch_of(data).slice(len(data) // 2))) == data[len(data) // 2 :]


class _Breaks:
    """Gives an object in messages, and breaks off after as many bytes as are drawn."""

    def __init__(self, data: bytes, breaks: list[int]) -> None:
        self.data, self.breaks, self.asked = data, breaks, []

    def stream(self, ticket):
        self.asked.append(ticket.start)
        left = self.breaks.pop(0) if self.breaks else len(self.data) + 1
        yield Message(memoryview(b""), read_beside(beside(making=[0, 0])))
        rest = self.data[ticket.start :]
        yield Message(memoryview(b""), read_beside(beside(bytes=len(rest), start=ticket.start)))
        for at in range(0, len(rest), 7):
            piece = rest[at : at + 7]
            if left < len(piece):
                raise TransientError("it broke", "again")
            left -= len(piece)
            yield Message(memoryview(piece), {})
        if left < 1:
            raise TransientError("its end was lost", "again")


@given(st.binary(max_size=200), st.lists(st.integers(0, 250), max_size=6))
def test_what_has_come_is_not_asked_for_again(data, breaks):
    link, found = _Breaks(data, list(breaks)), Arriving(ObjectTicket(name="x"), Rooms())
    for _ in range(len(breaks) + 2):
        try:
            whole = found.go_on(link.stream)
        except TransientError:
            continue
        break
    assert bytes(whole) == data
    assert link.asked == sorted(link.asked)
    with pytest.raises(TypeError):
        whole[0:1] = b"x"


def test_an_object_that_changed_meanwhile_is_read_from_its_beginning():
    found = Arriving(ObjectTicket(name="x"), Rooms())
    with pytest.raises(TransientError, match="it broke"):
        found.go_on(_Breaks(b"o" * 100, [50]).stream)
    with pytest.raises(TransientError, match="changed"):
        found.go_on(_Breaks(b"n" * 80, []).stream)
    assert bytes(found.go_on(_Breaks(b"n" * 80, []).stream)) == b"n" * 80


def test_rows_are_packed_without_those_that_have_none():
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    data, about = pack_rows(features, 10, [11], recipe=DIGEST, images=DIGEST)
    assert about == {"rows": [10, 14], "without": [11]}
    np.testing.assert_array_equal(FeatureShardReader(data, where="x").features(), features[[0, 2, 3]])
    assert pack_rows(features[:1], 0, [0], recipe=DIGEST, images=DIGEST)[0] == b""


def test_memory_is_used_again_once_nobody_holds_it():
    rooms = Rooms()
    first = rooms.room(3 << 20)
    address, kept = first.ctypes.data, first.data.toreadonly()[5:9]
    del first
    assert rooms.room(3 << 20).ctypes.data != address  # a part of it is held
    del kept
    again = rooms.room((3 << 20) - 7)
    assert again.ctypes.data == address
    assert rooms.room(2 << 19).size == 1 << 20
