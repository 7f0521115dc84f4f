"""The record of a run proves that every row was read once, over restarts and changes of ranks; nothing else passes."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from itertools import islice

import pytest

from hapistore.errors import UsageError
from hapistore.read import FeatureReader, ReadOptions
from hapistore.read.audit import audit
from hapistore.stores import FolderStore


@pytest.fixture(scope="module")
def view(make_view):
    return make_view(shards=(40, 1, 35, 27), dropped=[False] * 103)


@pytest.fixture
def read(view, tmp_path):
    """Reads some of an epoch as several ranks; returns the position reached."""

    def some(epoch=0, *, ranks=1, workers=1, start=0, steps=None, only=None, **options):
        position = start
        for rank in range(ranks) if only is None else only:
            for worker in range(workers):
                reader = FeatureReader(view, ReadOptions(batch_size=4, audit=str(tmp_path / "audit"), **options))
                share = reader.epoch(epoch, rank=rank, ranks=ranks, worker=worker, workers=workers, start=start)
                for batch in islice(share, steps):
                    position = max(position, batch.position)
                share.close()
                reader.close()
        return position

    return some


def verdicts(folder) -> list[tuple[bool, int, int]]:
    return [(epoch.proved, len(epoch.faults), epoch.voided) for epoch in audit(folder / "audit")]


@pytest.mark.parametrize(("ranks", "workers"), [(1, 1), (3, 1), (1, 2), (4, 3), (8, 1)])
@pytest.mark.parametrize("last", ["keep", "pad"])
def test_whole_epochs_are_proved(read, tmp_path, ranks, workers, last):
    for epoch in range(3):
        read(epoch, ranks=ranks, workers=workers, last=last)
    assert verdicts(tmp_path) == [(True, 0, 0)] * 3


def test_restarts_with_other_ranks_are_proved(read, tmp_path):
    read(0, ranks=2)
    saved = read(1, ranks=2, steps=3)
    read(1, ranks=2, start=saved, steps=4)  # crashed, nothing saved
    saved = read(1, ranks=4, start=saved, steps=2)
    read(1, ranks=1, start=saved)
    read(2, ranks=1, steps=5)
    first, second, third = audit(tmp_path / "audit")
    assert first.proved and second.proved
    assert (second.voided, second.rows) == (8, 103)
    assert (third.proved, third.faults, third.rows) == (False, (), 20)


def test_going_back_to_an_earlier_epoch_voids_the_later_ones(read, tmp_path):
    read(0)
    read(1)
    read(2, steps=2)
    read(0, start=40)
    read(1)
    assert verdicts(tmp_path) == [(True, 0, 16), (True, 0, 26), (False, 0, 2)]


@pytest.mark.parametrize("start", [30, 44])
def test_going_on_somewhere_else_is_found(read, tmp_path, start):
    """Behind the position that was saved, rows of the step it is in come twice; before it, some never come."""
    assert read(0, steps=10) == 40
    read(0, start=start)
    (found,) = audit(tmp_path / "audit")
    assert not found.proved
    assert len(found.faults) == 1
    assert ("read by nobody" if start == 44 else "were read twice") in found.faults[0]


def test_a_rank_that_did_not_read_is_found(read, tmp_path):
    read(0, ranks=3, only=(0, 2))
    (found,) = audit(tmp_path / "audit")
    assert not found.proved
    assert all("read by nobody" in fault for fault in found.faults)


def test_a_rank_that_restarts_alone_is_found(read, tmp_path):
    read(0, ranks=2, steps=5)
    read(0, ranks=2, start=40, only=(1,))
    (found,) = audit(tmp_path / "audit")
    assert found.faults
    assert not found.proved


def test_an_epoch_left_early_is_found_once_the_next_has_begun(read, tmp_path):
    read(0, steps=3)
    assert verdicts(tmp_path) == [(False, 0, 0)]
    read(1, steps=1)
    assert verdicts(tmp_path) == [(False, 1, 0), (False, 0, 0)]


def test_other_rows_than_those_selected_are_found(read, tmp_path):
    """The spans say nothing of the rows: their hashes do."""
    read(0)
    (path,) = (tmp_path / "audit").iterdir()
    lines = path.read_text().splitlines()
    step = json.loads(lines[5])
    path.write_text("\n".join([*lines[:5], json.dumps([*step[:3], step[3] ^ 1]), *lines[6:], ""]))
    (found,) = audit(tmp_path / "audit")
    assert not found.proved
    assert "their hashes differ" in found.faults[0]


def test_dropped_and_drawn_rows_are_not_said_to_be_proved(read, tmp_path):
    read(0, last="drop")
    read(1, last="drop")
    assert verdicts(tmp_path) == [(False, 0, 0)] * 2


def test_more_than_a_short_batch_is_not_dropped(read, tmp_path):
    read(0, last="drop", steps=20)
    read(1, last="drop")
    first, second = audit(tmp_path / "audit")
    assert first.faults == ("positions 80 to 103 were read by nobody, and the next epoch was begun",)
    assert not second.faults


def test_drawn_rows_prove_nothing(read, tmp_path):
    read(0, balanced=True)
    assert verdicts(tmp_path) == [(False, 0, 0)]


def test_what_is_no_record(view, read, tmp_path):
    with pytest.raises(UsageError, match="has no records; give readers audit="):
        audit(tmp_path / "audit")
    read(0, steps=2)
    read(0, seed=1, steps=2)
    with pytest.raises(UsageError, match="several views or orders"):
        audit(tmp_path / "audit")
    for text in ("", "{}", '{"format": 2}', "[1]", "\xff"):
        (tmp_path / "audit" / "000.jsonl").write_text(text)
        with pytest.raises(UsageError, match=r"000.jsonl is no record of a reader"):
            audit(tmp_path / "audit")


_TRAIN = """
import json, os, pickle, sys, time
from hapistore.read import FeatureReader, ReadOptions

view, folder, state, rank, ranks = pickle.load(open(sys.argv[1], "rb")), *sys.argv[2:4], *map(int, sys.argv[4:6])
reader = FeatureReader(view, ReadOptions(batch_size=2, audit=folder))
progress = reader.progress()
try:
    progress.load_state_dict(json.load(open(state)))
except FileNotFoundError:
    pass
epoch, start, _ = progress.begin()
for number, batch in enumerate(reader.epoch(epoch, rank=rank, ranks=ranks, start=start)):
    progress.read(batch.position)
    if number % 5 == 4 and rank == 0:
        with open(state + ".new", "w") as file:
            json.dump(progress.state_dict(), file)
        os.replace(state + ".new", state)
    print(batch.position, flush=True)
    time.sleep(0.02)
"""


def test_killed_processes_that_go_on_from_a_checkpoint(make_view, tmp_path, environment):
    """One rank is killed twice while it reads, and two ranks finish what is left."""
    view = make_view(shards=(40, 1, 35, 27), dropped=[False] * 103, store=FolderStore(tmp_path / "store"))
    (tmp_path / "view").write_bytes(pickle.dumps(view))
    arguments = [tmp_path / "view", tmp_path / "audit", tmp_path / "state"]
    for killed_after in (13, 8):
        process = subprocess.Popen(
            [sys.executable, "-c", _TRAIN, *map(str, arguments), "0", "1"],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for _ in range(killed_after):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    for rank in ("0", "1"):
        state = tmp_path / f"state-{rank}"
        state.write_bytes((tmp_path / "state").read_bytes())
    for rank in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", _TRAIN, *map(str, arguments[:2]), str(tmp_path / f"state-{rank}"), rank, "2"],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    (found,) = audit(tmp_path / "audit")
    assert found.proved, found.faults
    assert found.voided > 0
    assert found.legs == 4
