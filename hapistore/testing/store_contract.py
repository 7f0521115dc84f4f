"""What every object store must do."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..errors import AlreadyExists, NotFound, StoreError
from ..stores import ObjectStore, delete_older
from ..stores.clock import read_clock

BAD_NAMES = ["", "/", "/abs", "a/", "a//b", "../x", "a/../b", "..", ".", "./a", ".hidden", "a/.hidden", "a\\b", "a b"]
BAD_NAMES += ["a\0b", "a\nb", "ümlaut", "a:b", "~", "C:/x", "a/./b", "x?y", "*"]
_THREADS = 8
_RACED_BYTES = 1000


class StoreContract:
    """Inherit it, and give it a fixture ``store`` that returns an empty store::

        class TestMyStore(StoreContract):
            @pytest.fixture
            def store(self, tmp_path):
                return MyStore(tmp_path)

    Attributes:
        pickles: whether a pickled copy sees the same objects.
        races: how often creators race; some servers let losers wait for seconds.
        listed: how many objects a long listing has; more than a page of it.
    """

    pickles = True
    races = 20
    listed = 1200

    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError("give your class a fixture called store")

    # reading and writing

    def test_what_was_created_is_read(self, store: ObjectStore) -> None:
        store.create("a", b"one")
        assert bytes(store.get("a")) == b"one"

    def test_a_memoryview_can_be_written(self, store: ObjectStore) -> None:
        store.create("a", memoryview(b"xonex")[1:-1])
        store.put("b", memoryview(bytearray(b"two")))
        assert bytes(store.get("a")) == b"one"
        assert bytes(store.get("b")) == b"two"

    def test_what_was_read_cannot_be_written_to(self, store: ObjectStore) -> None:
        store.create("small", b"one")
        store.create("large", bytes(2 << 20))
        for name in ("small", "large"):
            view = store.get(name)
            assert isinstance(view, memoryview)
            assert view.readonly

    def test_what_the_writer_does_to_its_buffer_later_is_not_stored(self, store: ObjectStore) -> None:
        data = bytearray(b"one")
        store.create("a", memoryview(data))
        data[:] = b"two"
        assert bytes(store.get("a")) == b"one"

    def test_creating_what_exists_keeps_the_old_bytes(self, store: ObjectStore) -> None:
        store.create("a/b", b"one")
        with pytest.raises(AlreadyExists, match="a/b"):
            store.create("a/b", b"two")
        assert bytes(store.get("a/b")) == b"one"

    def test_creating_what_was_put_keeps_the_old_bytes(self, store: ObjectStore) -> None:
        store.put("a", b"one")
        with pytest.raises(AlreadyExists):
            store.create("a", b"one")

    def test_put_replaces(self, store: ObjectStore) -> None:
        store.put("a", b"a long first value")
        store.put("a", b"two")
        assert bytes(store.get("a")) == b"two"
        assert store.head("a").bytes == 3

    def test_bytes_that_were_read_outlive_their_replacement(self, store: ObjectStore) -> None:
        for size in (10, 2 << 20):
            store.put("a", b"1" * size)
            view = store.get("a")
            store.put("a", b"2" * size)
            assert bytes(view) == b"1" * size
            store.delete("a")
            assert bytes(view) == b"1" * size

    @pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 1])
    def test_any_size(self, store: ObjectStore, size: int) -> None:
        data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        store.create("a", data)
        assert bytes(store.get("a")) == data
        assert store.head("a").bytes == size

    @pytest.mark.parametrize(
        "name", ["a", "a/b/c/d/e/f/g/h/i/j", "a.b-c_d+e/00000007.json", "A/b", "u8c+zstd/" + "f" * 64]
    )
    def test_any_good_name(self, store: ObjectStore, name: str) -> None:
        store.create(name, b"x")
        assert bytes(store.get(name)) == b"x"
        assert store.head(name).name == name
        assert [info.name for info in store.list()] == [name]

    # what is not there

    @pytest.mark.parametrize("name", ["nothing", "folder/nothing", "a/b/c", "a"])
    def test_what_is_not_there_is_not_found(self, store: ObjectStore, name: str) -> None:
        store.create("a/b", b"one")
        calls: list[Callable[[], object]] = [
            lambda: store.get(name),
            lambda: store.get_ranges(name, [(0, 0)]),
            lambda: store.head(name),
            lambda: store.delete(name),
        ]
        for call in calls:
            with pytest.raises(NotFound, match=name):
                call()
        assert bytes(store.get("a/b")) == b"one"

    def test_what_was_deleted_is_not_found_and_can_be_created(self, store: ObjectStore) -> None:
        store.create("a/b", b"one")
        store.delete("a/b")
        assert [info.name for info in store.list()] == []
        for call in (store.get, store.head, store.delete):
            with pytest.raises(NotFound):
                call("a/b")
        store.create("a/b", b"two")
        assert bytes(store.get("a/b")) == b"two"

    # ranges

    def test_ranges(self, store: ObjectStore) -> None:
        store.create("a", bytes(range(100)))
        ranges = [(0, 1), (10, 20), (5, 15), (99, 100), (0, 100), (50, 50)]
        found = [bytes(part) for part in store.get_ranges("a", ranges)]
        assert found == [bytes(range(start, stop)) for start, stop in ranges]
        assert list(store.get_ranges("a", [])) == []

    @pytest.mark.parametrize("span", [(0, 101), (100, 101), (200, 300), (-1, 5), (20, 10)])
    def test_a_range_outside_is_refused(self, store: ObjectStore, span: tuple[int, int]) -> None:
        store.create("a", bytes(range(100)))
        with pytest.raises(StoreError, match="a"):
            store.get_ranges("a", [(0, 1), span])

    # files

    def test_a_local_path_is_a_file_with_the_bytes(self, store: ObjectStore) -> None:
        store.create("a/b", b"one")
        path = store.local_path("a/b")
        assert path is None or path.read_bytes() == b"one"

    def test_what_is_written_anew_is_another_file(self, store: ObjectStore) -> None:
        store.put("a", b"one")
        path = store.local_path("a")
        if path is None:
            return
        with open(path, "rb") as file:
            store.put("a", b"two")
            assert file.read() == b"one"

    def test_there_is_no_path_of_what_is_not_there(self, store: ObjectStore) -> None:
        store.create("a/b", b"one")
        for name in ("a", "a/b/c", "nothing"):
            if store.local_path("a/b") is None:
                assert store.local_path(name) is None
                continue
            with pytest.raises(NotFound, match=name):
                store.local_path(name)

    # listing

    def test_a_listing_is_in_order_of_name(self, store: ObjectStore) -> None:
        names = ["b", "a/x", "a-b/x", "a.b", "a/b/c", "c/1", "c/10", "c/2", "B", "a0", "a/x-1", "d/e/f"]
        for name in names:
            store.create(name, name.encode())
        assert [(info.name, info.bytes) for info in store.list()] == [(name, len(name)) for name in sorted(names)]

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", ["a/b", "a/bc", "a/d/e", "ab", "b"]),
            ("a", ["a/b", "a/bc", "a/d/e", "ab"]),
            ("a/", ["a/b", "a/bc", "a/d/e"]),
            ("a/b", ["a/b", "a/bc"]),
            ("a/d/", ["a/d/e"]),
            ("a/d/e", ["a/d/e"]),
            ("a/d/e/", []),
            ("c", []),
            ("c/d/", []),
            ("b/", []),
        ],
    )
    def test_a_listing_of_a_prefix(self, store: ObjectStore, prefix: str, expected: list[str]) -> None:
        for name in ("a/b", "a/bc", "a/d/e", "ab", "b"):
            store.create(name, b"")
        assert [info.name for info in store.list(prefix)] == expected

    def test_a_listing_goes_on_behind_a_name(self, store: ObjectStore) -> None:
        names = sorted(["a/x", "a-b/x", "a.b", "a/b/c", "a/b-c", "b/1", "b/10", "b+c/1", "b/2", "c"])
        for name in names:
            store.create(name, b"")
        for after in ["", *names, "a", "a/", "a/b", "b/1x", "zz"]:
            assert [info.name for info in store.list(after=after)] == [name for name in names if name > after]
        assert [info.name for info in store.list("b/", after="b/1")] == ["b/10", "b/2"]
        assert [info.name for info in store.list("b/", after="a")] == ["b/1", "b/10", "b/2"]
        assert list(store.list("a/", after="b")) == []

    def test_a_long_listing_has_every_name_once(self, store: ObjectStore) -> None:
        names = [f"{folder}/{number:04d}" for folder in ("a", "a-b") for number in range(self.listed // 2)]
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda name: store.create(name, b"x"), names))
        assert [info.name for info in store.list()] == sorted(names)
        middle = sorted(names)[len(names) // 2]
        assert [info.name for info in store.list(after=middle)] == [name for name in sorted(names) if name > middle]

    # ages

    def test_an_object_is_as_old_as_its_last_write(self, store: ObjectStore) -> None:
        before = read_clock(store)
        store.create("a", b"one")
        created = store.head("a").modified
        assert before <= created <= read_clock(store)
        time.sleep(1.1)  # some count seconds
        store.put("a", b"two")
        assert store.head("a").modified > created
        assert [(info.name, info.modified) for info in store.list()] == [("a", store.head("a").modified)]

    def test_reading_the_clock_leaves_nothing(self, store: ObjectStore) -> None:
        read_clock(store)
        assert list(store.list()) == []

    def test_only_what_is_older_is_deleted(self, store: ObjectStore) -> None:
        store.create("a", b"one")
        modified = store.head("a").modified
        assert not delete_older(store, "a", modified)
        assert bytes(store.get("a")) == b"one"
        assert delete_older(store, "a", modified + 1)
        with pytest.raises(NotFound, match="a"):
            delete_older(store, "a", modified + 1)

    def test_an_empty_store_lists_nothing(self, store: ObjectStore) -> None:
        assert list(store.list()) == []
        assert list(store.list("a/")) == []

    @pytest.mark.parametrize("prefix", ["../", "../x", "/", "/etc/", "a/../../", "a//", "./"])
    def test_a_listing_does_not_leave_the_store(self, store: ObjectStore, prefix: str) -> None:
        store.create("a/b", b"")
        try:
            assert list(store.list(prefix)) == []
        except StoreError:
            pass  # refusing is as good

    # names

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_a_bad_name_is_refused(self, store: ObjectStore, name: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.get(name),
            lambda: store.get_ranges(name, [(0, 0)]),
            lambda: store.head(name),
            lambda: store.local_path(name),
            lambda: store.put(name, b"x"),
            lambda: store.create(name, b"x"),
            lambda: store.delete(name),
        ]
        for call in calls:
            with pytest.raises(StoreError) as caught:
                call()
            assert not isinstance(caught.value, NotFound | AlreadyExists)
        assert list(store.list()) == []

    def test_a_name_that_is_too_long_is_refused_or_works(self, store: ObjectStore) -> None:
        name = "x" * 5000
        try:
            store.create(name, b"one")
        except StoreError:
            assert list(store.list()) == []
        else:
            assert bytes(store.get(name)) == b"one"

    # many at once

    def test_of_creators_at_once_one_wins(self, store: ObjectStore) -> None:
        assert store.capabilities.atomic_create, "without atomic create this suite cannot hold"
        for number in range(self.races):
            name = f"race/{number}"
            winners = _race(store, name)
            assert len(winners) == 1
            assert bytes(store.get(name)) == bytes(winners) * _RACED_BYTES

    def test_readers_never_see_half_an_object(self, store: ObjectStore) -> None:
        store.put("a", b"0" * 100_000)
        stop = threading.Event()
        seen: set[bytes] = set()

        def read() -> None:
            while not stop.is_set():
                seen.add(bytes(store.get("a")))

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(1, 30):
            store.put("a", str(number % 10).encode() * 100_000)
        stop.set()
        reader.join()
        assert seen
        assert all(len(value) == 100_000 and len(set(value)) == 1 for value in seen)

    # across processes

    def test_a_pickled_store_is_the_same_store(self, store: ObjectStore) -> None:
        if not self.pickles:
            with pytest.raises(TypeError):
                pickle.dumps(store)
            return
        store.create("a", b"one")
        copy = pickle.loads(pickle.dumps(store))
        assert copy.url == store.url
        assert bytes(copy.get("a")) == b"one"
        with pytest.raises(AlreadyExists):
            copy.create("a", b"two")
        copy.create("b", b"two")
        assert bytes(store.get("b")) == b"two"

    def test_a_url_that_says_where(self, store: ObjectStore) -> None:
        assert isinstance(store.url, str)
        assert store.url


def _race(store: ObjectStore, name: str) -> list[int]:
    """Threads that all create one object at once; who did not get AlreadyExists."""
    barrier = threading.Barrier(_THREADS)
    winners: list[int] = []

    def run(who: int) -> None:
        barrier.wait()
        try:
            store.create(name, bytes([who]) * _RACED_BYTES)
            winners.append(who)
        except AlreadyExists:
            pass

    threads = [threading.Thread(target=run, args=(who,)) for who in range(_THREADS)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # or a race inside Python code would hardly ever happen
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return winners
