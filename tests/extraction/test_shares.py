"""Several machines extract the same features at once: nothing is left, and little is made twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hapistore as hs
from hapistore.errors import UsageError
from hapistore_format import ShardRef


class _Stop(Exception):
    pass


def _options(number: int, of: int, **more) -> hs.ExtractOptions:
    return hs.ExtractOptions(share=hs.Share(number=number, of=of), executor="torch", **more)


def _refs(rows):
    return [
        ShardRef(images=f"{number:064x}", annotations="0" * 64, rows=count, bytes=1, layout="arrow")
        for number, count in enumerate(rows)
    ]


class TestDividing:
    @given(rows=st.lists(st.integers(1, 50), min_size=1, max_size=40), of=st.integers(1, 8))
    def test_every_shard_is_one_machines_and_all_others_help(self, rows, of):
        shards = _refs(rows)
        divided = [hs.Share(number=number, of=of).divide(shards) for number in range(1, of + 1)]
        assert [shard for mine, _ in divided for shard in mine] == shards
        for mine, others in divided:
            assert sorted([*mine, *others], key=shards.index) == shards
            assert abs(sum(shard.rows for shard in mine) - sum(rows) / of) < max(rows)

    def test_who_helps_comes_from_the_end(self):
        shards = _refs([5] * 6)
        assert hs.Share(number=1, of=2).divide(shards) == (shards[:3], shards[:2:-1])
        assert hs.Share(number=2, of=2).divide(shards) == (shards[3:], shards[2::-1])

    def test_who_helps_the_same_one_begins_elsewhere(self):
        shards = _refs([5] * 12)
        first = [others for number in (1, 2) for _, others in [hs.Share(number=number, of=3).divide(shards)]]
        of_third = [[shard for shard in others if shard in shards[8:]] for others in first]
        assert of_third[0] == [shards[n] for n in (10, 8, 9, 11)]
        assert of_third[1] == [shards[n] for n in (11, 9, 8, 10)]

    @pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1.5/2"])
    def test_what_is_no_share_is_refused(self, text):
        with pytest.raises(UsageError, match="share"):
            hs.Share.parse(text)

    def test_a_share_is_read(self):
        assert hs.Share.parse("2/3") == hs.Share(number=2, of=3)


def test_two_at_once_make_everything_and_little_twice(noise, resnet):
    store, write = noise
    write("many", 160)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda number: hs.extract(store, "many", resnet, options=_options(number, 2)), (1, 2)))
    shards = results[0].version.shards
    largest = max(shard.rows for shard in shards)
    assert all(one.extracted + one.present == len(shards) for one in results)
    # Where they meet, and what is in the making or being stored there.
    assert 160 <= sum(one.images for one in results) <= 160 + 3 * largest
    assert hs.verify_store(store).damaged == []
    assert hs.extract(store, "many", resnet).images == 0


def test_one_that_was_stopped_is_helped(noise, resnet):
    store, write = noise
    write("many", 120)

    def stop(done, total):
        if done > 25:
            raise _Stop

    with pytest.raises(_Stop):
        hs.extract(store, "many", resnet, options=_options(2, 3), on_progress=stop)
    seen = []
    rest = hs.extract(store, "many", resnet, options=_options(1, 3), on_progress=lambda *at: seen.append(at))
    assert rest.present > 0
    assert rest.present + rest.extracted == len(rest.version.shards)
    assert seen[-1] == (120, 120)
    for number in (2, 3):
        assert hs.extract(store, "many", resnet, options=_options(number, 3)).images == 0


def test_one_that_meets_helpers_in_its_own_share_leaves_them_what_they_did(noise, resnet):
    """The second helps from the end while the first has made one shard only."""
    store, write = noise
    write("many", 120)
    helped = []

    def once_begun(done, total):
        if done and not helped:
            helped.append(None)
            helped.append(hs.extract(store, "many", resnet, options=_options(2, 2)))

    result = hs.extract(store, "many", resnet, options=_options(1, 2), on_progress=once_begun)
    largest = max(shard.rows for shard in result.version.shards)
    assert helped[1].images >= 120 - 2 * largest  # all but what was under way
    assert result.images <= 3 * largest
    assert result.extracted + result.present == len(result.version.shards)


def test_variants_are_shared_too(noise, resnet):
    store, write = noise
    write("many", 24)
    augment = hs.AugmentOptions(variants=2)
    with ThreadPoolExecutor(2) as pool:
        results = list(
            pool.map(
                lambda number: hs.extract(store, "many", resnet, options=_options(number, 2, augment=augment)), (1, 2)
            )
        )
    shards = results[0].version.shards
    largest = max(shard.rows for shard in shards)
    assert all(one.extracted + one.present == 3 * len(shards) for one in results)
    assert 72 <= sum(one.images for one in results) <= 72 + 9 * largest
    assert hs.extract(store, "many", resnet, options=hs.ExtractOptions(augment=augment, executor="torch")).images == 0


def test_more_machines_than_shards(noise, resnet):
    store, write = noise
    write("few", 3)
    result = hs.extract(store, "few", resnet, options=_options(7, 9))
    assert result.images == 3
