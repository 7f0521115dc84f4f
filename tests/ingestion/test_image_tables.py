"""Parquet files and saved datasets, as Hugging Face's `datasets` writes them and as others do."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from hapistore.errors import HapistoreError, UsageError
from hapistore.ingestion import ingest, open_source, parquet, saved_dataset


@pytest.fixture
def hugging(imagenet, tmp_path) -> datasets.Dataset:
    """Foolbox's photographs as a Hugging Face dataset with class labels."""
    classes = sorted({label for _, label in imagenet})
    rows = {
        "image": [{"bytes": path.read_bytes(), "path": path.name} for path, _ in imagenet],
        "label": [classes.index(label) for _, label in imagenet],
        "caption": [["one", path.stem] for path, _ in imagenet],
        "objects": [{"box": [[0.0, float(label)]], "area": [label]} for _, label in imagenet],
    }
    features = datasets.Features(
        {
            "image": datasets.Image(decode=False),
            "label": datasets.ClassLabel(names=[f"class {label}" for label in classes]),
            "caption": datasets.Sequence(datasets.Value("string")),
            "objects": {"box": [[datasets.Value("float32")]], "area": [datasets.Value("int32")]},
        }
    )
    return datasets.Dataset.from_dict(rows, features=features)


def check(records, imagenet, *, subset=None):
    assert list(records) == [path.name for path, _ in imagenet]
    for path, label in imagenet:
        record = records[path.name]
        assert record["image"] == path.read_bytes()
        assert record["label_name"] == f"class {label}" and isinstance(record["label"], int)
        assert record["caption"] == ["one", path.stem]
        assert record["objects"] == {"box": [[0.0, float(label)]], "area": [label]}
        assert record["subset"] == subset


def test_parquet_by_hugging_face(hugging, imagenet, tmp_path, kept):
    (tmp_path / "data").mkdir()
    hugging.to_parquet(tmp_path / "data/validation-00000-of-00001-abc.parquet")
    check(kept(open_source(tmp_path)), imagenet, subset="val")


def test_saved_to_disk(hugging, imagenet, tmp_path, kept):
    hugging.save_to_disk(tmp_path / "saved", num_shards=3)
    check(kept(open_source(tmp_path / "saved")), imagenet)


def test_a_saved_dict_of_subsets(hugging, tmp_path, kept):
    parts = hugging.train_test_split(test_size=4, seed=0)
    datasets.DatasetDict(train=parts["train"], validation=parts["test"]).save_to_disk(tmp_path / "saved")
    records = kept(open_source(tmp_path / "saved"))
    assert sum(record["subset"] == "train" for record in records.values()) == 16
    assert {r["image"]["path"] for r in parts["test"]} == {k for k, r in records.items() if r["subset"] == "val"}


@pytest.fixture
def write(tmp_path):
    def write(columns: dict, name: str = "a.parquet", **options) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, **options)
        return path

    return write


def test_a_plain_column_of_bytes(write, picture, kept):
    images = [picture(n) for n in range(5)]
    when = [datetime(2020, 1, n + 1) for n in range(5)]
    labels = pa.array(["a", "b", None, "a", "b"]).dictionary_encode()
    path = write({"png": images, "label": labels, "when": pa.array(when, pa.timestamp("ns")), "n": range(5)})
    records = kept(open_source(path))
    assert [(key, r["image"], r["label"], r["when"], r["n"]) for key, r in records.items()] == [
        (f"a.parquet#{n}", images[n], label, when[n], n) for n, label in enumerate(["a", "b", None, "a", "b"])
    ]


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ({"key": ["x", "y"], "id": ["1", "2"]}, ["x", "y"]),
        ({"id": ["1", "2"]}, ["1", "2"]),
        ({"id": ["1", "1"]}, ["a.parquet#0", "a.parquet#1"]),
        ({"id": ["1", None]}, ["a.parquet#0", "a.parquet#1"]),
        ({"id": ["1", "a\nb"]}, ["a.parquet#0", "a.parquet#1"]),
        ({"id": [1, 2]}, ["a.parquet#0", "a.parquet#1"]),
        ({"__key__": ["p", "q"], "file_name": ["a", "a"]}, ["p", "q"]),
    ],
)
def test_where_keys_come_from(write, picture, listed, columns, keys):
    found = listed(parquet(write({"image": [picture(0), picture(1)], **columns}))).annotations
    assert found["key"].to_pylist() == keys
    assert set(found.column_names) == {"key", "label", "subset", *columns}


def test_paths_that_come_twice_are_no_keys(write, picture, listed):
    for n, name in enumerate(["train/0.parquet", "test/0.parquet"]):
        write({"image": [{"bytes": picture(n), "path": "same.png"}]}, name)
    root = write({"image": [{"bytes": picture(9), "path": "same.png"}]}, "train/1.parquet").parents[1]
    found = listed(parquet(root)).annotations
    assert found["key"].to_pylist() == ["test/0.parquet#0", "train/0.parquet#0", "train/1.parquet#0"]
    assert found["subset"].to_pylist() == ["test", "train", "train"]


def test_several_columns_of_images(write, picture, listed):
    path = write({"left": [picture(0)], "right": [picture(1)], "id": ["x"]})
    with pytest.raises(UsageError, match="has images in left and right; choose a column by --image-column"):
        listed(parquet(path))
    found = listed(open_source(path, image_column="right"))
    assert bytes(found.images[0]) == picture(1) and found.annotations.column_names == ["key", "label", "subset", "id"]
    assert found.ignored == {"values of column left, which holds bytes": 1}


def test_rows_without_an_image_are_left_out(write, picture, store):
    rows = [
        {"bytes": picture(0), "path": "a"},
        {"bytes": None, "path": "/etc/passwd"},
        None,
        {"bytes": b"x", "path": "d"},
    ]
    result = ingest(store, "d", parquet(write({"image": rows})))
    assert result.images == 1
    assert [image.reason for image in result.quarantined] == ["empty", "empty", "not-an-image"]
    assert "/etc/passwd" in result.quarantined[0].detail


def test_types_widen_from_file_to_file(write, picture, listed):
    write({"image": [picture(0)], "n": pa.array([1]), "boxes": pa.array([[]], pa.list_(pa.null()))}, "0.parquet")
    write({"image": [picture(1)], "n": pa.array([0.5]), "boxes": [[1.5]]}, "1.parquet")
    path = write({"image": [picture(2)], "n": pa.array([None], pa.null()), "boxes": [None]}, "2.parquet")
    found = listed(parquet(path.with_name("{0..2}.parquet"))).annotations
    assert found["n"].to_pylist() == [1.0, 0.5, None] and found["boxes"].to_pylist() == [[], [1.5], None]
    write({"image": [picture(1)], "n": ["text"]}, "1.parquet")
    with pytest.raises(UsageError, match=r"1\.parquet: column 'n' is string, in the files before it is int64"):
        listed(parquet(path.with_name("*.parquet")))


def test_few_rows_are_held_where_images_are_large(write, picture):
    large = picture(0, size=(900, 900))
    chunks = parquet(write({"image": [large] * 20, "id": [str(n) for n in range(20)]}, use_dictionary=False)).listing()
    assert {len(chunk.images) for chunk in chunks.chunks} == {(8 << 20) // len(large), 20 % ((8 << 20) // len(large))}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"x": [1]}, {}, "has no column of encoded images; it has x"),
        ({"image": [b"x"], "x": [1]}, {"image_column": "x"}, "column 'x' is int64, expected encoded images"),
        ({"image": [b"x"]}, {"image_column": "y"}, "has no column 'y'; it has image"),
        ({"image": [b"x"]}, {"label_column": "y"}, "has no column 'y'; it has image"),
        ({"image": [b"x"], "dropped": [1]}, {}, "'dropped', which hapistore uses itself"),
        ({"image": [b"x"], "label": [[1]]}, {}, "labels are of type list"),
        ({"image": [b"x"], "subset": ["both"]}, {}, "record 1: subset is 'both'"),
        ({"image": pa.array([], pa.binary())}, {}, "has no rows"),
    ],
)
def test_tables_that_cannot_be_used(write, columns, options, message):
    path = write(columns)
    with pytest.raises(UsageError) as caught:
        [*parquet(path, **options).listing().chunks]
    assert message in str(caught.value) and str(path) in str(caught.value)


def union():
    return pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1], pa.timestamp("ns")), "times finer than a microsecond"),
        (pa.array([1], pa.duration("ns")), "times finer than a microsecond"),
        (pa.array([[1]], pa.list_(pa.timestamp("ns"))), "times finer than a microsecond"),
        (union(), "which annotations cannot hold"),
    ],
)
def test_columns_that_annotations_cannot_hold(tmp_path, picture, listed, column, message):
    table = pa.table({"image": [picture(0)], "odd": column})
    with pa.OSFile(str(tmp_path / "data.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    with pytest.raises(UsageError, match=f"'odd' .*{message}"):
        listed(open_source(tmp_path))


def test_odd_types_that_can_be_kept(write, picture, kept):
    columns = {
        "tz": pa.array([1000], pa.timestamp("ns", "Europe/Berlin")),
        "took": pa.array([5000], pa.duration("ns")),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "fixed": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
        "cost": pa.array([1], pa.decimal128(9, 2)),
        "kind": pa.array(["x"]).dictionary_encode(),
        "large": pa.array(["x"], pa.large_string()),
        "sum": pa.array([b"0123"], pa.binary(4)),
    }
    (record,) = kept(parquet(write({"image": [picture(0)], **columns}))).values()
    assert record["map"] == [("a", 1)] and record["fixed"] == [1.0, 2.0] and record["kind"] == record["large"] == "x"
    assert record["took"].microseconds == 5 and record["tz"].microsecond == 1 and record["sum"] == b"0123"


def test_text_that_is_no_text(write, picture, listed):
    text = pa.array([b"\xff\xfe"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 1, text.buffers())
    with pytest.raises(HapistoreError, match=r"a\.parquet cannot be read: .*UTF8"):
        [*parquet(write({"image": [picture(0)], "note": broken})).listing().chunks]


def test_a_damaged_file_is_named(write, picture, listed):
    path = write({"image": [picture(n) for n in range(50)]}, compression="none", write_page_checksum=True)
    data = path.read_bytes()
    for broken in (b"", b"PAR1", data[:-100], data[:200] + bytes(2000) + data[2200:]):
        path.write_bytes(broken)
        with pytest.raises(HapistoreError, match=r"a\.parquet cannot be read"):
            listed(parquet(path))


def test_a_saved_dataset_that_leads_elsewhere_or_lies(hugging, tmp_path, listed):
    folder = tmp_path / "saved"
    hugging.save_to_disk(folder)
    state = json.loads((folder / "state.json").read_text())
    for name in ("../x", "/etc/passwd", "none.arrow", 3):
        (folder / "state.json").write_text(json.dumps({**state, "_data_files": [{"filename": name}]}))
        with pytest.raises(UsageError, match="state.json names"):
            saved_dataset(folder)
    (folder / "state.json").write_text("[]")
    with pytest.raises(UsageError, match="has no list '_data_files'"):
        saved_dataset(folder)


def test_offsets_that_lie_are_found(tmp_path, picture, listed):
    """A mapped Arrow file is used as it is; its offsets are checked before they are followed."""
    image = picture(0)
    path = tmp_path / "data.arrow"
    table = pa.table({"image": pa.array([image, image], pa.binary())})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    good = path.read_bytes()
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, len(image), 2 * len(image)))
    path.write_bytes(good.replace(offsets, offsets[:8] + (1 << 30).to_bytes(4, "little")))
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": path.name}]}))
    with pytest.raises(HapistoreError, match="data.arrow cannot be read"):
        listed(open_source(tmp_path))


def test_a_parquet_file_of_paths_is_a_manifest(write, picture, tree, kept):
    root = tree({"a.png": picture(0), "b.png": picture(1)})
    columns = {"path": ["a.png", "b.png"], "boxes": [[[0, 1]], []], "who": [{"name": "x"}, None]}
    path = write({**columns, "label": pa.array([1, 2], pa.int8())}, f"{root.name}/list.parquet")
    records = kept(open_source(path))
    assert [(key, r["image"], r["label"], r["boxes"], r["who"]) for key, r in records.items()] == [
        ("a.png", picture(0), 1, [[0, 1]], {"name": "x"}),
        ("b.png", picture(1), 2, [], None),
    ]
