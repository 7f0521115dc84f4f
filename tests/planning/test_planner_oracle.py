"""The benchmark on HAPI's logs, on grids of our own making."""

from __future__ import annotations

import pytest

from benchmarks.planner_oracle import judge_all, profile_of


def grid(mbps: float) -> dict:
    """Two cuts: many bytes early, few bytes late and twice the work."""
    rows = [(1, 500_000, 0.001), (2, 10_000, 0.004)]
    link = mbps * 1e6 / 8
    cuts = [
        {
            "index": index, "bytes_per_image": size, "request_s_per_batch": 100 * (work + size / link),
            "deserialise_s_per_batch": 0.1, "train_s_per_batch": 0.2,
            "total_s": 10 * (100 * (work + size / link) + 0.3),
        }
        for index, size, work in rows
    ]  # fmt: skip
    return {
        "model": "m", "link_mbps_measured": mbps, "batch_size": 100, "batches": 10, "freeze_index": 2, "cuts": cuts,
    }  # fmt: skip


def test_a_profile_of_one_link_plans_for_the_other():
    slow, fast = grid(500), grid(50_000)
    assert profile_of(slow)["cuts"][0]["storage_s_per_image"] == pytest.approx(0.001)
    for found, index in zip(judge_all([slow, fast]), (2, 1), strict=True):
        assert found["best"]["index"] == found["policies"]["cost"]["index"] == index
        assert found["policies"]["cost"]["predicted_s"] == pytest.approx(found["best"]["measured_s"])
        assert found["policies"]["freeze"]["index"] == found["policies"]["smallest"]["index"] == 2
    with pytest.raises(ValueError, match="expected two"):
        judge_all([slow])
