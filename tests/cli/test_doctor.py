"""``hapistore doctor`` on a folder, and where there is nothing to reach."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from hapistore.stores import MemoryStore
from hapistore.stores.examining import examine


def test_a_folder_is_well(answer, succeed, tmp_path, files_below):
    found = answer("doctor", "--store", tmp_path / "store")
    assert [finding["check"] for finding in found["findings"]] == ["access", "capabilities", "latency", "speed"]
    assert all(finding["ok"] for finding in found["findings"])
    assert found["findings"][3]["figures"]["down_bytes_s"] > 1e6
    assert not [name for name in files_below(tmp_path / "store") if "doctor" in name]
    text = succeed("doctor", "--store", tmp_path / "store").stdout
    assert text.count("ok ") == 4 and "MB/s up" in text


def test_nothing_to_reach(environment):
    url = "s3://bucket/x?endpoint=http://127.0.0.1:9&region=us-east-1"
    done = subprocess.run(
        [sys.executable, "-m", "hapistore", "doctor", "--store", url],
        env={**environment, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "BAD access" in done.stdout and "check that the endpoint is right" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("off", [-3600, 0, 3600])
def test_a_clock_that_is_off(off):
    date = format_datetime(datetime.now(timezone.utc) - timedelta(seconds=off))
    (clock,) = [finding for finding in examine(MemoryStore(), server_date=lambda: date) if finding.check == "clock"]
    assert clock.ok == (off == 0)
    assert off == 0 or (("ahead of" if off > 0 else "behind") in clock.found and "NTP" in clock.advice)
