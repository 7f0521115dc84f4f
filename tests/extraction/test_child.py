"""An executor in a process of its own: real crashes, kills and hangs, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import hapistore as hs
from hapistore.errors import ExecutorFailed, HapistoreError, UsageError
from hapistore.extraction import choose_executor
from hapistore.extraction.batching import BatchRunner
from hapistore.extraction.executors import ChildExecutor, EagerExecutor
from hapistore.extraction.executors.candidates import BY_LABEL
from hapistore.extraction.executors.saved_program import SavedProgram

# The operators live in a module that other processes can import too.
sys.path.append(str(Path(__file__).parent))
from fragile_networks import CRASHES, HANGS, KILLS, RAISES, Fragile, NeedsSecret, Undecided

KILLED = int(os.environ.get("HAPISTORE_TEST_KILLS", "4"))
PREPROCESS = hs.Preprocess(resize_px=8, crop_px=(8, 8), mean_levels=(0.0,) * 3, std_levels=(1.0,) * 3)


def prefix_of(module: nn.Module):
    return hs.backbone_from_module(module, name="fragile", preprocess=PREPROCESS, program="fragile 1").prefix()


def picture(number: int, magic: int | None = None) -> np.ndarray:
    pixels = np.random.default_rng(number).integers(0, 200, (8, 8, 3), dtype=np.uint8)
    if magic is not None:
        pixels[0, 0, 0] = magic
    return pixels


def descriptors() -> list[str]:
    """Open files of this process that it shares with a child."""
    names = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            names.append(str(link.readlink()))
    return [name for name in names if "hapistore-" in name]


def is_gone(pid: int, within_s: float = 20) -> bool:
    """Whether a process ends in time; one that waits for its parent to notice has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.usefixtures("children_know_operators")
def test_what_an_image_does_to_its_executor_costs_its_row_alone():
    prefix = prefix_of(Fragile())
    # Far enough for batches of two: single images are run until it is known how fast that is.
    magic = {41: RAISES, 46: CRASHES, 48: HANGS}
    stream = [picture(number, magic.get(number)) for number in range(50)]
    executor = ChildExecutor(prefix, "torch", patience_s=1.0)
    assert (executor.name, executor.precision, executor.device) == ("torch", "f32", "cpu")
    runner = BatchRunner(executor, budget_bytes=1 << 40, max_batch=2)
    found = dict(pair for rows, features in runner.run(iter(stream)) for pair in zip(rows, features, strict=True))
    assert {row: image.reason for row, image in runner.failed.items()} == {41: "failed", 46: "crashed", 48: "hung"}
    assert "a network's own error" in runner.failed[41].detail
    assert "SIGSEGV" in runner.failed[46].detail
    assert runner.largest_batch == 2
    good = [number for number in range(50) if number not in magic]
    assert sorted(found) == good
    expected = EagerExecutor(prefix).run(np.stack([stream[number] for number in good]))
    np.testing.assert_array_equal(np.stack([found[number] for number in good]), expected)
    assert executor.restarts >= 4
    assert executor.peak_bytes() >= executor.idle_bytes() > 20e6
    assert any("hapistore-pixels" in name for name in descriptors())
    score = Path(f"/proc/{executor.pid}/oom_score_adj")
    assert not score.exists() or score.read_text().strip() == "1000"
    executor.close()
    executor.close()
    assert is_gone(executor.pid)
    assert descriptors() == []


@pytest.mark.usefixtures("children_know_operators")
def test_kills_at_random_moments_cost_no_row():
    prefix = prefix_of(Fragile(pause_s=0.01))
    executor = ChildExecutor(prefix, "torch")
    source, killed = random.Random(5), set()

    def kill() -> None:
        """Every fourth child while it starts or soon after, the others at work."""
        starts = 0
        while len(killed) < KILLED:
            at_work = len(killed) % 4 != 3
            pid = executor.pid
            if pid in killed or not executor._child.alive or (at_work and executor.restarts < starts):
                time.sleep(0.005)
                continue
            time.sleep(source.uniform(0, 0.5 if at_work else 3))
            if executor.pid == pid and executor._child.alive:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
                starts = executor.restarts + 1

    def pictures():
        number = 0
        while killer.is_alive() or number < 50:
            yield picture(number)
            number += 1

    killer = threading.Thread(target=kill)
    killer.start()
    runner = BatchRunner(executor, budget_bytes=1 << 40, max_batch=8)
    rows, features = [], []
    for numbers, batch in runner.run(pictures()):
        rows += numbers.tolist()
        features.append(batch)
    assert len(killed) == KILLED
    assert runner.failed == {}
    assert rows == list(range(len(rows))) and len(rows) >= 50
    expected = EagerExecutor(prefix_of(Fragile())).run(np.stack([picture(number) for number in rows]))
    np.testing.assert_array_equal(np.concatenate(features), expected)
    executor.close()
    assert all(is_gone(pid) for pid in killed)


@pytest.mark.usefixtures("children_know_operators")
def test_an_image_that_it_is_always_killed_at():
    executor = ChildExecutor(prefix_of(Fragile()), "torch")
    with pytest.raises(ExecutorFailed, match=r"SIGKILL.*5 times in a row.*crashed"):
        executor.run(picture(1, KILLS)[None])
    executor.close()


@pytest.mark.usefixtures("children_know_operators")
def test_it_has_no_secrets(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    prefix = prefix_of(NeedsSecret())
    EagerExecutor(prefix).run(picture(0)[None])
    with closing(ChildExecutor(prefix, "torch")) as executor, pytest.raises(ExecutorFailed, match="no secret here"):
        executor.run(picture(0)[None])


def test_it_says_why_it_cannot_start(monkeypatch, tmp_path):
    with pytest.raises(HapistoreError, match="the executor's process cannot run it: RuntimeError: "):
        ChildExecutor(prefix_of(Fragile()), "torch")  # with an operator that is not known there
    (tmp_path / "sitecustomize.py").write_text("import os; os.write(2, b'not today'); os._exit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(HapistoreError, match=r"ended \(with status 3\) before it was ready: not today"):
        ChildExecutor(prefix_of(Fragile()), "torch")
    assert descriptors() == []


def test_what_it_is_made_from_cannot_be_changed(prefix):
    with closing(SavedProgram.of(prefix, BY_LABEL["torch"].save)) as program:
        with pytest.raises(PermissionError):
            os.pwrite(program.descriptors[0], b"other", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(program.descriptors[0], 10)
        with program.open() as file:
            assert len(file.read()) > 10_000_000


@pytest.mark.usefixtures("children_know_operators")
def test_images_that_the_reference_crashes_at_are_not_compared_on():
    sample = np.stack([picture(number, magic) for number, magic in enumerate((None, CRASHES, RAISES, None))])
    choice = choose_executor(prefix_of(Fragile()), "torch", precision="bf16", sample=sample, child=True)
    with closing(choice.executor):
        assert isinstance(choice.executor, ChildExecutor)
        assert choice.agreement.within("bf16")
    assert descriptors() == []


def test_a_network_that_cannot_be_exported_is_refused(store):
    prefix = prefix_of(Undecided())
    options = hs.ExtractOptions(executor="torch", child=True)
    with pytest.raises(UsageError, match=r"no executor can give fragile in f32: torch: it cannot run fragile"):
        hs.extract(store, "mixed", prefix, options=options)
    assert descriptors() == []
    assert hs.extract(store, "mixed", prefix, options=hs.ExtractOptions(executor="torch")).images == 48


_SCRIPT = """
from fragile_networks import HANGS
from test_child import Fragile, picture, prefix_of
from hapistore.extraction.executors import ChildExecutor

executor = ChildExecutor(prefix_of(Fragile()), "torch")
print(executor.pid, flush=True)
executor.run(picture(1, HANGS)[None])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_its_parent(environment, how):
    here = Path(__file__).parent
    path = os.pathsep.join([str(here / "child_site"), str(here), environment["PYTHONPATH"]])
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], env={**environment, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )
    with process:
        child = int(process.stdout.readline())
        time.sleep(0.2)
        assert not is_gone(child, within_s=0.1)
        process.send_signal(how)
        assert process.wait(20) == -how
        assert is_gone(child)


def test_a_class_that_the_child_cannot_import():
    class Local(nn.Module):
        def forward(self, images):
            return images.mean(dim=(2, 3))

    prefix = prefix_of(Local())
    pictures = np.stack([picture(number) for number in range(3)])
    executor = ChildExecutor(prefix, "torch")
    np.testing.assert_allclose(executor.run(pictures), EagerExecutor(prefix).run(pictures), rtol=1e-4)
    executor.close()
