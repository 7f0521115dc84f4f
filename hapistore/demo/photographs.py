"""The ELPV photographs as an ingest manifest, with a stratified held-out fifth.

Electroluminescence images of solar cells with defect probabilities; Buerhop-Lutz et al. 2018, Deitsch
et al. 2019 and 2021 (PyPI ``elpv-dataset``), CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

from ..errors import UsageError

LICENCE = "ELPV dataset, CC BY-NC-SA 4.0 (Buerhop-Lutz et al. 2018, Deitsch et al. 2019)"
_HELD_OUT = 0.2
_DEFECTIVE_FROM = 0.5


def write_manifest(path: Path, seed: int, limit: int | None = None) -> int:
    """Write a manifest of photographs: path, key, label, subset, defect_probability, cell_type.

    A fifth of every (label, cell type) group becomes subset test, chosen by ``seed``.

    Args:
        limit: take so many, evenly spread over all; the same for every seed.

    Returns:
        How many photographs there are.

    Raises:
        UsageError: the package with the photographs is not installed.
    """
    folder = _data_folder()
    cells = [line.split() for line in (folder / "labels.csv").read_text().splitlines() if line.strip()]
    if limit is not None and limit < len(cells):
        cells = [cells[number * len(cells) // limit] for number in range(limit)]
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, (_, probability, kind) in enumerate(cells):
        groups[_label(probability), kind].append(number)
    held_out: set[int] = set()
    shuffler = random.Random(seed)
    for _, members in sorted(groups.items()):
        held_out.update(shuffler.sample(members, round(_HELD_OUT * len(members))))
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "key", "label", "subset", "defect_probability", "cell_type"])
        for number, (name, probability, kind) in enumerate(cells):
            subset = "test" if number in held_out else "train"
            table.writerow([folder / name, name, _label(probability), subset, probability, kind])
    return len(cells)


def _label(probability: str) -> str:
    return "defective" if float(probability) >= _DEFECTIVE_FROM else "functional"


def _data_folder() -> Path:
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise UsageError("the demo's photographs are not installed; pip install 'hapistore[demo]'")
    return Path(spec.origin).parent / "data"
