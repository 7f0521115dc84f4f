"""Signals find the process alive after an executor is gone, whichever thread let go of it."""

from __future__ import annotations

import subprocess
import sys

_LEFT = """
import os, signal, threading
import numpy as np
import hapistore as hs
from hapistore.extraction.executors import OpenVINOExecutor

prefix = hs.load_backbone("efficientnet_lite0", weights="random").prefix("pool")
box = [OpenVINOExecutor(prefix)]
box[0].run(np.zeros((1, *prefix.preprocess.pixel_shape), np.uint8))
thread = threading.Thread(target=box.clear)
thread.start()
thread.join()
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_signal_after_an_executor_ended_in_another_thread(environment):
    done = subprocess.run([sys.executable, "-c", _LEFT], env=environment, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
