"""Every plot, from ``results/*.json``: ``python -m benchmarks.plots``. Equal results give equal files."""

from __future__ import annotations

from pathlib import Path

from . import storage_tier, training

FOLDER = Path(__file__).parents[2] / "docs" / "plots"
PLOTS = (
    training.by_network,
    training.by_bytes,
    training.by_link,
    training.by_batch,
    training.by_memory,
    training.over_epochs,
    storage_tier.by_cut,
    storage_tier.by_adaptation,
    storage_tier.by_tenants,
    storage_tier.by_codec,
)


def main() -> None:
    """Write them all."""
    for draw in PLOTS:
        draw(FOLDER)


if __name__ == "__main__":
    main()
