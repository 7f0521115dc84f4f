"""The last thing done before a process opens what somebody else wrote: taking from it what it does not need.

Run by its path, before anything is imported that starts threads: a process of several threads cannot leave its user
namespace. It then becomes the process that is wanted. A user namespace of its own keeps it from the memory and the
environment of every process outside, a network namespace of its own has no interface that is up. Files that its user
may read stay readable.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from pathlib import Path

_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
# A process of torch and its threads; what it prints; nothing else is written to files.
_LIMITS = {"NOFILE": 256, "NPROC": 512, "FSIZE": 1 << 20, "CORE": 0}
NOT_CONFINED = "the kernel gives no process a network of its own here"
"""Said where confinement is required and cannot be had."""


def confined_command(module: str, argument: str, *, required: bool = True, data_bytes: int | None = None) -> list[str]:
    """What to start, so that ``python -m module argument`` runs without network, privileges and files to write.

    Args:
        required: end with `NOT_CONFINED` on stderr where the kernel forbids namespaces; else run without them.
        data_bytes: of private memory that the process may map.
    """
    options = json.dumps({"required": required, "data_bytes": data_bytes})
    # Isolated and without site: only what Python itself brings is imported until it is confined.
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), options, module, argument]


def _confine(*, required: bool, data_bytes: int | None) -> None:
    """Confine this process, and whatever it becomes.

    Raises:
        OSError: it is not to be.
    """
    library = ctypes.CDLL(None, use_errno=True)
    try:
        _unshare(library)
    except OSError:
        if required:
            raise
    if sys.platform == "linux" and library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    for name, most in {**_LIMITS, **({"DATA": data_bytes} if data_bytes else {})}.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def _unshare(library: ctypes.CDLL) -> None:
    if not hasattr(library, "unshare"):
        raise OSError("it has no namespaces")
    if library.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _main(options: str, module: str, argument: str) -> None:
    try:
        _confine(**json.loads(options))
    except OSError as error:
        sys.exit(f"{NOT_CONFINED} ({error}), and a program that was sent is not run without")
    os.execv(sys.executable, [sys.executable, "-m", module, argument])


if __name__ == "__main__":
    _main(*sys.argv[1:])
