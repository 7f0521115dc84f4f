"""``hapistore audit``: the verdict on every epoch, and the exit status."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hapistore.read.audit import AuditLog, Leg, hash_rows


@pytest.fixture
def record(tmp_path):
    """One rank's record of an epoch of 20 rows in steps of 5, without some of them."""

    def write(epoch=0, left_out=()):
        rows = np.arange(20)
        leg = Leg(
            of={"view": {}, "order": {}}, epoch=epoch, start=0, rank=0, ranks=1, worker=0, workers=1, rows=20,
            drops=False, hash=hash_rows(rows),
        )  # fmt: skip
        log = AuditLog(tmp_path / "audit", leg)
        for first in range(0, 20, 5):
            if first not in left_out:
                log.step((first, first + 5), rows[first : first + 5])
        log.close()
        return tmp_path / "audit"

    return write


def test_a_proved_epoch(hapistore, record):
    done = hapistore("audit", record())
    assert done.returncode == 0, done.stderr
    assert done.stdout == "epoch 0: every row once: 20 of 20 rows in 1 passes\n"


def test_rows_left_out_are_named_and_the_status_is_1(hapistore, record):
    record()
    done = hapistore("audit", record(1, left_out=(5,)))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "epoch 0: every row once: 20 of 20 rows in 1 passes",
        "epoch 1: wrong: 15 of 20 rows in 1 passes",
        "  positions 5 to 10 were read by nobody",
    ]


def test_json(hapistore, record):
    done = hapistore("audit", record(), "--json")
    assert json.loads(done.stdout) == {
        "epochs": [{"epoch": 0, "rows": 20, "of": 20, "legs": 1, "voided": 0, "faults": [], "proved": True}]
    }


def test_a_folder_without_records_is_a_usage_error(hapistore, tmp_path):
    done = hapistore("audit", tmp_path)
    assert done.returncode == 2
    assert "has no records; give readers audit=" in done.stderr
