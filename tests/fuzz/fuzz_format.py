"""Coverage-guided fuzzing of every reader.

    python tests/fuzz/fuzz_format.py [only=TARGET] [libFuzzer flags] [corpus folders]

It stops at the first input that is a fault and writes it to the working directory. ``only`` leaves the first byte
out of account. Kernels that numba compiles cannot be instrumented: they run as they are, compared with a slow reader
and watched for writes beside their rows (``feature_targets.block``).
"""

from __future__ import annotations

import sys
import tracemalloc

import atheris

_INSTRUMENTED = ["hapistore_format", "lmdb.verify", "targets", "feature_targets"]
_COMPILED = [f"hapistore_format.codecs.{name}" for name in ("jit", "layout_kernels", "value_kernels")]
_LIMITS = ["-max_len=4096", "-rss_limit_mb=2048", "-timeout=10"]

with atheris.instrument_imports(include=_INSTRUMENTED, exclude=_COMPILED):
    import targets


def main() -> None:
    chosen = [a for a in sys.argv if a.startswith("only=")]
    flags = [a for a in sys.argv[1:] if a not in chosen]
    only = [targets.TARGETS[a.removeprefix("only=")][0] for a in chosen]

    def run(data: bytes) -> None:
        targets.run(bytes(only) + data[len(only) :])

    again = " ".join([sys.executable, sys.argv[0], *chosen])  # -merge starts it so
    atheris.Setup([again, *_LIMITS, *flags], run)
    tracemalloc.start()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
