"""Writes all test vectors anew: ``python format/vectors/make.py [FOLDER]``. A second run gives equal bytes."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from corpus.entries import Corpus  # noqa: E402
from corpus.invalid_arrow import add_invalid_arrow  # noqa: E402
from corpus.invalid_blocks import add_invalid_blocks  # noqa: E402
from corpus.invalid_documents import add_invalid_documents  # noqa: E402
from corpus.invalid_features import add_invalid_features  # noqa: E402
from corpus.invalid_lmdb import add_invalid_lmdb  # noqa: E402
from corpus.invalid_recipes import add_invalid_recipes  # noqa: E402
from corpus.invalid_shards import add_invalid_shards  # noqa: E402
from corpus.valid_documents import add_documents  # noqa: E402
from corpus.valid_features import add_features  # noqa: E402
from corpus.valid_shards import add_shards  # noqa: E402

VALID = (add_documents, add_shards, add_features)
INVALID = (
    add_invalid_documents,
    add_invalid_recipes,
    add_invalid_arrow,
    add_invalid_features,
    add_invalid_blocks,
    add_invalid_shards,
    add_invalid_lmdb,
)


def main(folder: Path) -> None:
    corpus = Corpus()
    for add in VALID + INVALID:
        add(corpus)
    corpus.write(folder)
    size = sum(len(data) for data in corpus.files.values())
    print(f"{len(corpus.files)} files, {size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
