"""Manifests that cannot be used: one line that names the place, and nothing written."""

from __future__ import annotations

import pytest

from hapistore.errors import UsageError

CASES = {
    "duplicate keys": ("a.csv", "path\nx.png\ny.png\nx.png\n", {}, ["records 1 and 3", "'x.png'"]),
    "duplicate key column": ("a.csv", "path,key\nx.png,k\ny.png,k\n", {}, ["records 1 and 2", "'k'"]),
    "no path column": ("a.csv", "image,label\nx.png,1\n", {}, ["no column 'path'", "image, label"]),
    "no path column, JSON": ("a.jsonl", '{"image": "x.png"}\n', {}, ["no column 'path'", "image"]),
    "no named path": ("a.csv", "path\nx.png\n", {"path_column": "file"}, ["no column 'file'", "path"]),
    "no named label": ("a.csv", "path,label\nx.png,1\n", {"label_column": "defect"}, ["no column 'defect'"]),
    "no named subset": ("a.csv", "path,label\nx.png,1\n", {"subset_column": "part"}, ["no column 'part'"]),
    "too many fields": ("a.csv", "path,label\nx.png,1\ny.png,2,3\n", {}, ["Expected 2 columns, got 3: y.png"]),
    "too few fields": ("a.csv", "path,label\nx.png\n", {}, ["Expected 2 columns, got 1: x.png"]),
    "empty file": ("a.csv", "", {}, ["is empty", "'path'"]),
    "empty file, JSON": ("a.jsonl", "", {}, ["is empty"]),
    "white space": ("a.csv", "\n\n", {}, ["cannot be read"]),
    "header only": ("a.csv", "path,label\n", {}, ["a header and no rows"]),
    "path empty": ("a.csv", "path,label\nx.png,1\n,2\n", {}, ["record 2", "path is None"]),
    "path null": ("a.jsonl", '{"path": "x.png"}\n{"label": 3}\n', {}, ["record 2", "path is None"]),
    "path a number": ("a.jsonl", '{"path": 3}\n', {}, ["record 1", "path is 3"]),
    "key empty": ("a.csv", "path,key\nx.png,\n", {}, ["record 1", "key is None"]),
    "unknown subset": (
        "a.csv",
        "path,subset\nx.png,train\ny.png,Train\n",
        {},
        ["record 2", "'Train'", "train, val, test"],
    ),
    "subset a number": ("a.jsonl", '{"path": "x.png", "subset": 1}\n', {}, ["record 1", "'1'"]),
    "label a list": ("a.jsonl", '{"path": "x.png", "label": [1]}\n', {}, ["labels are of type list"]),
    "label mixed": (
        "a.jsonl",
        '{"path": "x.png", "label": 1}\n{"path": "y.png", "label": "b"}\n',
        {},
        ["/label", "number to string"],
    ),
    "column twice": ("a.csv", "path,m,m\nx.png,1,2\n", {}, ["column 'm' twice"]),
    "column without a name": ("a.csv", "path,\nx.png,1\n", {}, ["column ''"]),
    "name of its own": ("a.csv", "path,dropped\nx.png,1\n", {}, ["column 'dropped'", "rename"]),
    "label beside the named": (
        "a.csv",
        "path,label,defect\nx.png,1,2\n",
        {"label_column": "defect"},
        ["column 'label'", "rename"],
    ),
    "UTF-16": ("a.csv", "path\nx.png\n".encode("utf-16"), {}, ["cannot be read"]),
    "Latin-1 path": ("a.csv", "path\nä.png\n".encode("latin-1"), {}, ["cannot be read", "UTF8"]),
    "broken JSON": ("a.jsonl", '{"path": "x.png"}\n{"path":\n', {}, ["cannot be read", "JSON parse error"]),
    "JSON that is no object": ("a.jsonl", "[1]\n", {}, ["cannot be read"]),
    "no such file": ("a.csv", None, {}, ["does not exist"]),
    "of no known kind": ("a.tsv", "path\nx.png\n", {}, ["a .csv or .jsonl manifest"]),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(tree, tmp_path, picture, take, case):
    name, text, columns, parts = CASES[case]
    tree({"x.png": picture(0), "y.png": picture(1)} | ({} if text is None else {name: text}))
    source = tmp_path / "source" / name
    with pytest.raises(UsageError) as caught:
        take(source, columns=columns)
    message = str(caught.value)
    assert str(source) in message and "\n" not in message
    assert [part for part in parts if part not in message] == []
    assert not (tmp_path / "store").exists()
