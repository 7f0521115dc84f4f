"""What only image shards in the LMDB layout do: LMDB never sees a bad page, and no process is too odd to read them."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import lmdb
import pyarrow as pa
import pytest

from hapistore_format import (
    DamagedError,
    FileSeal,
    FormatError,
    LmdbImageShard,
    record_digest,
    shard_digest,
    write_lmdb_image_shard,
)
from hapistore_format.image_shard import COLUMNS
from hapistore_format.lmdb_file import _open as open_files


@pytest.fixture
def shard(make, tmp_path):
    """A shard of 40 rows on disk: (path, seal, records)."""
    records = make.records(40, size=5000)
    _, data, seal = write_lmdb_image_shard(records)
    path = tmp_path / "shard.lmdb"
    path.write_bytes(data)
    return path, FileSeal.parse(seal, where="seal"), records


def is_whole(reader: LmdbImageShard, records) -> bool:
    return [bytes(reader.image(row)) for row in range(len(reader))] == [record.image for record in records]


def test_lmdb_itself_opens_it(shard):
    path, _, records = shard
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment, environment.begin() as found:
        assert [bytes(found.get(row.to_bytes(8, "big"))) for row in range(40)] == [r.image for r in records]
        assert json.loads(found.get(b"header"))["rows"] == 40
        assert environment.stat()["entries"] == 42


def test_readers_of_one_file_share_it_and_leave_nothing(shard):
    path, seal, records = shard
    first, second = (LmdbImageShard(path, seal, where="here") for _ in range(2))
    assert len(open_files) == 1
    del first
    gc.collect()
    assert is_whole(second, records)
    del second
    gc.collect()
    assert len(open_files) == 0
    assert sorted(p.name for p in path.parent.iterdir()) == ["shard.lmdb"]  # no lock file


def test_a_file_made_again_under_its_name_is_another_file(shard, make):
    path, seal, records = shard
    old = LmdbImageShard(path, seal, where="here")
    others = make.records(3, size=6000)
    _, data, other_seal = write_lmdb_image_shard(others)
    path.unlink()
    path.write_bytes(data)
    new = LmdbImageShard(path, FileSeal.parse(other_seal, where="seal"), where="here")
    assert is_whole(old, records) and is_whole(new, others)


def test_threads_open_read_and_close_at_once(shard):
    path, seal, records = shard

    def read(number: int) -> bool:
        row = number % 40
        return LmdbImageShard(path, seal, where="here").image(row) == records[row].image

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))
    gc.collect()
    assert len(open_files) == 0


def _read_elsewhere(reader: LmdbImageShard, again: tuple, answer) -> None:
    images = [bytes(reader.image(row)) for row in range(len(reader))]
    path, seal = again
    answer.put((images, bytes(LmdbImageShard(path, seal, where="there").image(3))))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_reader_crosses_into_other_processes(shard, method):
    path, seal, records = shard
    reader = LmdbImageShard(path, seal, where="here")
    context = multiprocessing.get_context(method)
    answer = context.Queue()
    children = [context.Process(target=_read_elsewhere, args=(reader, (path, seal), answer)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in children:
        images, one = answer.get(timeout=60)
        assert images == [record.image for record in records] and one == records[3].image
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert is_whole(reader, records)


def test_a_pickled_reader_checks_the_file_again(shard):
    path, seal, records = shard
    text = pickle.dumps(LmdbImageShard(path, seal, where="here"))
    assert is_whole(pickle.loads(text), records)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(DamagedError, match="here"):
        pickle.loads(text)


def test_a_reader_of_memory_does_not_pickle(make):
    _, data, seal = write_lmdb_image_shard(make.records())
    with pytest.raises(TypeError, match="store of files"):
        pickle.dumps(LmdbImageShard(data, FileSeal.parse(seal, where="seal"), where="here"))


def test_a_damaged_file_is_refused_by_its_path_too(shard):
    path, seal, _ = shard
    whole = path.read_bytes()
    damaged = path.with_name("damaged")
    for place in random.Random(1).sample(range(len(whole) * 8), 300):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        damaged.write_bytes(data)
        with pytest.raises(DamagedError, match="bytes 0 to "):
            LmdbImageShard(damaged, seal, where="here")
    for size in (0, 1, 4096, len(whole) - 1, len(whole) + 1):
        damaged.write_bytes(whole[:size] + bytes(max(0, size - len(whole))))
        with pytest.raises(DamagedError, match="its seal says"):
            LmdbImageShard(damaged, seal, where="here")
    assert len(open_files) == 0


def test_the_seal_names_the_span_that_is_damaged(layouts, make):
    data = bytearray(layouts["lmdb"].write(make.records(12, size=1 << 20))[1])
    seal = FileSeal.of(memoryview(bytes(data)), images=make.DIGEST)
    data[5 << 20] ^= 1
    with pytest.raises(DamagedError, match=f"bytes {4 << 20} to {8 << 20} fail"):
        seal.check(memoryview(data), where="here")


def craft(tmp_path, values: dict[bytes, bytes], **options) -> bytes:
    path = tmp_path / f"{random.random()}.lmdb"
    with lmdb.open(str(path), subdir=False, lock=False, **options) as environment, environment.begin(write=True) as put:
        for key, value in values.items():
            put.put(key, value)
    return path.read_bytes()


def some_columns(schema: pa.Schema = COLUMNS, rows: int = 1, **changes) -> bytes:
    values = {"width": 1, "height": 1, "orientation": 1, "format": "PNG", "digest": record_digest(b"x"), **changes}
    arrays = [pa.array([values[field.name]] * rows, field.type) for field in schema]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    return sink.getvalue().to_pybytes()


HEADER = {"digest": shard_digest([record_digest(b"x")]), "format": 1, "rows": 1}
GOOD = {bytes(8): b"x", b"columns": some_columns(), b"header": json.dumps(HEADER).encode()}


def test_the_crafted_shards_start_from_a_good_one(layouts, tmp_path):
    layouts["lmdb"].open(craft(tmp_path, GOOD)).check_digests()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({b"header": b"{"}, "bad-images"),
        ({b"header": b"[]"}, "bad-images"),
        ({b"header": json.dumps({**HEADER, "format": 2}).encode()}, "unsupported-version"),
        ({b"header": json.dumps({**HEADER, "rows": 2}).encode()}, "bad-images"),
        ({b"header": json.dumps({**HEADER, "rows": 1 << 60}).encode()}, "bad-images"),
        ({b"header": json.dumps({**HEADER, "digest": 1}).encode()}, "bad-field"),
        ({b"columns": b""}, "not-arrow"),
        ({b"columns": b"\xff" * 100}, "not-arrow"),
        ({b"columns": some_columns()[:-300]}, "not-arrow"),
        ({b"columns": some_columns(rows=2)}, "bad-images"),
        ({b"columns": some_columns(rows=0)}, "bad-images"),
        ({b"columns": some_columns(COLUMNS.remove(1))}, "bad-images"),
        ({b"columns": some_columns(width=None)}, "bad-images"),
        ({(1).to_bytes(8, "big"): b"x"}, "bad-images"),
    ],
    ids=repr,
)
def test_a_lying_shard_is_refused(layouts, tmp_path, changes, code):
    with pytest.raises(FormatError) as caught:
        layouts["lmdb"].open(craft(tmp_path, {**GOOD, **changes}))
    assert caught.value.code == code


@pytest.mark.parametrize("key", GOOD, ids=repr)
def test_a_value_that_is_missing_is_named(layouts, tmp_path, key):
    values = {name: value for name, value in GOOD.items() if name != key} | {b"x": b""}
    with pytest.raises(FormatError, match="no value under key") as caught:
        layouts["lmdb"].open(craft(tmp_path, values)).image(0)
    assert caught.value.code == "bad-images"


def test_other_files_are_refused(layouts, tmp_path):
    for data in (b"x", bytes(8192), craft(tmp_path, GOOD, lib_version=1), craft(tmp_path, GOOD) + bytes(4096)):
        with pytest.raises(FormatError) as caught:
            layouts["lmdb"].open(data)
        assert caught.value.code == "not-lmdb"


@pytest.mark.parametrize("flag", [0x02, 0x04, 0x08], ids=["reversed keys", "several values", "integer keys"])
def test_keys_of_another_kind_are_refused(layouts, tmp_path, flag):
    data = bytearray(craft(tmp_path, GOOD))
    data[4096 + 16 + 24 + 48 + 4] = flag  # of the main database, in the second meta page
    with pytest.raises(FormatError) as caught:
        layouts["lmdb"].open(bytes(data))
    assert caught.value.code == "not-lmdb"


def test_a_database_in_the_place_of_an_image_is_found(layouts, tmp_path):
    record = bytes(40) + b"\xff" * 8  # of an empty database
    data = bytearray(craft(tmp_path, {**GOOD, bytes(8): record}))
    at = data.index(record, 8192)
    data[at - 8 - 4] = 2  # flags of the value: a database
    with pytest.raises(FormatError):
        layouts["lmdb"].open(bytes(data)).check_digests()


def test_hostile_pages_under_a_fitting_seal_do_not_crash_the_process(make, layouts):
    """In a process of its own, since what this looks for would end the tests."""
    data = bytes(layouts["lmdb"].write(make.records(120, size=3000))[1])
    child = os.fork()
    if not child:
        os._exit(_open_mutated(layouts["lmdb"].open, data))
    assert os.waitpid(child, 0)[1] == 0


def _open_mutated(open_shard, data: bytes) -> int:
    chance = random.Random(2)
    pages = [at for at in range(0, len(data), 4096) if data[at + 10] & 0b1011]  # meta, branch and leaf pages
    refused = 0
    for _ in range(1500):
        changed = bytearray(data)
        for _ in range(chance.choice([1, 2, 20])):
            at = chance.choice(pages) + chance.randrange(chance.choice([200, 4096]))
            changed[at] = chance.choice([0, 1, 16, 127, 128, 255, chance.randrange(256)])
        if chance.random() < 0.1:
            del changed[chance.randrange(1, len(changed)) :]
        try:
            for _ in open_shard(bytes(changed)).records():
                pass
        except FormatError:
            refused += 1
    return 0 if refused > 300 else 1
