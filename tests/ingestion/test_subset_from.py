"""Subsets that are made: from columns, from folders, drawn."""

from __future__ import annotations

from collections import Counter

import pytest

from hapistore.errors import UsageError
from hapistore.ingestion import SubsetFrom, image_records, open_source


def records(count: int, *, start: int = 0, **more):
    return [{"key": f"k{n}", "image": b"x", "label": f"l{n % 4}", **more} for n in range(start, count)]


@pytest.fixture
def subsets(listed):
    def of(source, rule: str) -> dict[str, str | None]:
        table = listed(SubsetFrom(source, rule)).annotations
        return dict(zip(table["key"].to_pylist(), table["subset"].to_pylist(), strict=True))

    return of


def test_of_a_column(tree, picture, listed):
    text = "path,part\na.png,Training\nb.png,dev\nc.png,valid \nd.png,\ne.png,TEST\n"
    root = tree({"list.csv": text})
    table = listed(open_source(root / "list.csv", subset_from="column:part")).annotations
    assert table["subset"].to_pylist() == ["train", "val", "val", None, "test"]
    assert table["part"].to_pylist()[0] == "Training"
    (root / "list.csv").write_text(text + "f.png,both\n")
    with pytest.raises(UsageError, match="column 'part': record 'f.png' has 'both', expected train, val, test"):
        listed(open_source(root / "list.csv", subset_from="column:part"))
    with pytest.raises(UsageError, match="subsets from column 'x': there is none; there are key, label, subset, part"):
        listed(open_source(root / "list.csv", subset_from="column:x"))


def test_of_a_folder(tree, picture, listed):
    root = tree({f"{site}/{part}/1.png": picture(0) for site in "ab" for part in ("train", "validation")})
    table = listed(open_source(root, subset_from="folder:1")).annotations
    assert table["subset"].to_pylist() == ["train", "val"] * 2 and table["label"].to_pylist() == ["a", "a", "b", "b"]
    with pytest.raises(UsageError, match="folder 0: record 'a/train/1.png' has 'a'"):
        listed(open_source(root, subset_from="folder:0"))
    with pytest.raises(UsageError, match="folder 2: record 'a/train/1.png' has 2 folders"):
        listed(open_source(root, subset_from="folder:2"))


def test_drawn_subsets_stay_when_images_are_added(subsets):
    rule = "random:val=0.1,test=0.2,seed=7"
    few = subsets(image_records(records(2000, start=500)), rule)
    more = subsets(image_records(records(4000)), rule)
    assert {key: more[key] for key in few} == few
    counts = Counter(more.values())
    # Three standard deviations of 4000 draws.
    assert abs(counts["test"] - 800) < 76 and abs(counts["val"] - 400) < 57
    assert subsets(image_records(records(4000)), "random:val=0.1,test=0.2,seed=8") != more
    # Growing a share keeps what was in it.
    wider = subsets(image_records(records(4000)), "random:val=0.1,test=0.3,seed=7")
    assert {key for key, s in more.items() if s == "test"} <= {key for key, s in wider.items() if s == "test"}


def test_a_draw_is_the_same_for_ever(subsets):
    """Stored datasets depend on it."""
    drawn = subsets(image_records(records(12)), "random:val=0.25,test=0.25,seed=1")
    assert " ".join(drawn.values()) == "val test test train test train train train val train train train"


def test_stratified_subsets_are_exact_for_each_label(subsets):
    drawn = subsets(image_records(records(403)), "stratified:val=0.1,test=0.25,seed=3")
    for label in range(4):
        of_label = [subset for key, subset in drawn.items() if int(key[1:]) % 4 == label]
        counts = Counter(of_label)
        assert counts["test"] == round(len(of_label) * 0.25)
        assert counts["test"] + counts["val"] == round(len(of_label) * 0.35)


def test_stratified_wants_records_that_can_be_listed_twice(subsets):
    with pytest.raises(UsageError, match="taken only once"):
        subsets(image_records(iter(records(10))), "stratified:val=0.5")


@pytest.mark.parametrize(
    "rule",
    [
        "", "random", "column:", "folder:x", "folder:-1", "half:0.5", "random:val=2", "random:val=0.6,test=0.6",
        "random:val=nan", "random:seed=1", "random:val=0.1,seed=-1", "random:train=0.8", "random:val", "random:val=x",
        "stratified:val=0.1,seed=0.5",
    ],
)  # fmt: skip
def test_rules_that_are_none(rule):
    with pytest.raises(UsageError, match="subsets from") as caught:
        SubsetFrom(image_records([]), rule)
    assert "\n" not in str(caught.value)
