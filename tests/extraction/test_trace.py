"""Where an extraction's time goes: totals, and a file that a trace viewer reads."""

from __future__ import annotations

import json

import pytest

import hapistore as hs
from hapistore.errors import UsageError
from hapistore.extraction.trace import STAGES


@pytest.mark.parametrize("child", [False, True])
def test_every_stage_of_every_image_is_in_the_trace(store, resnet, tmp_path, child):
    path = tmp_path / "trace.json"
    options = hs.ExtractOptions(executor="torch", trace=path, child=child, max_batch=8)
    result = hs.extract(store, "mixed", resnet, codecs=["f32", "u8c+zstd"], options=options)
    assert list(result.stage_seconds) == list(STAGES)
    events = json.loads(path.read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert {span["name"] for span in spans} == set(STAGES)
    assert all(span["dur"] >= 0 and span["ts"] >= 0 for span in spans)
    counts = {stage: sum(span["name"] == stage for span in spans) for stage in STAGES}
    shards = len(result.version.shards)
    assert (counts["fetch"], counts["decode"], counts["encode"], counts["store"]) == (
        shards,
        48,
        2 * shards,
        2 * shards,
    )
    assert sum(span["args"]["images"] for span in spans if span["name"] == "forward") == 48
    for stage in STAGES:
        total = sum(span["dur"] for span in spans if span["name"] == stage) / 1e6
        assert total == pytest.approx(result.stage_seconds[stage], rel=1e-3)
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    threads = {stage: {names[span["tid"]] for span in spans if span["name"] == stage} for stage in STAGES}
    others = set().union(*(threads[stage] for stage in STAGES if stage != "forward"))
    assert threads["forward"] and not threads["forward"] & others


def test_a_place_that_cannot_be_written_is_an_error_before_the_work(store, prefix, tmp_path):
    options = hs.ExtractOptions(executor="torch", trace=tmp_path / "none" / "trace.json")
    with pytest.raises(UsageError, match="there is no folder .* to write to"):
        hs.extract(store, "mixed", prefix, options=options)
    assert not any(store.list("features/"))
