"""Which images are shown: evenly, the same every time, from few shards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hapistore.pages.choosing import choose_shards, evenly

LABELS = st.lists(st.dictionaries(st.integers(0, 200), st.integers(1, 50), min_size=1, max_size=40), max_size=30)


@given(st.integers(0, 500), st.integers(1, 60))
def test_evenly(total, count):
    items = list(range(total))
    chosen = evenly(items, count)
    assert len(chosen) == min(total, count)
    assert chosen == sorted(set(chosen))
    if total > count:
        gaps = [b - a for a, b in zip([-0.5, *chosen], [*chosen, total - 0.5], strict=True)]
        assert max(gaps) <= total / count + 1


@given(LABELS, st.integers(1, 60), st.integers(1, 20), st.integers(0, 20))
def test_every_label_is_seen_from_few_shards(labels, per_label, spread, more):
    limits = {"per_label": per_label, "spread": spread, "most": spread + more}
    chosen = choose_shards(labels, **limits)
    assert chosen == sorted(set(chosen)) == choose_shards(labels, **limits)
    assert all(shards.keys() & set(chosen) for shards in labels)
    assert len(chosen) <= max(len(labels), spread + more)
    if len(chosen) < spread + more:
        for shards in labels:
            found = sum(count for shard, count in shards.items() if shard in chosen)
            assert found >= min(per_label, sum(shards.values()))
    assert set(chosen) <= {shard for shards in labels for shard in shards}


def test_a_mixed_dataset_is_read_all_over():
    labels = [dict.fromkeys(range(100), 5)] * 3
    assert choose_shards(labels, per_label=10, spread=4) == [12, 37, 62, 87]
    assert len(choose_shards(labels, per_label=40, spread=4)) == 8


def test_a_sorted_dataset_is_read_where_its_labels_are():
    labels = [{shard: 7, shard + 1: 2} for shard in range(0, 60, 2)]
    chosen = choose_shards(labels, per_label=2, spread=4, most=10)
    assert len(chosen) == 30
    assert len(set(chosen) & set(range(0, 60, 2))) >= 26
