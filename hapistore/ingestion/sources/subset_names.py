"""What train, val and test are called elsewhere."""

from __future__ import annotations

from hapistore_format import SUBSETS

ALIASES = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
ALL_NAMES = (*SUBSETS, *ALIASES)


def subset_called(name: str) -> str | None:
    """The subset that a name means; None where it means none."""
    return name if name in SUBSETS else ALIASES.get(name)
