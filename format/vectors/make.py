"""Writes all test vectors anew: ``python format/vectors/make.py [FOLDER]``. A second run gives equal bytes."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from corpus.entries import Corpus  # noqa: E402
from corpus.valid_documents import add_documents  # noqa: E402
from corpus.valid_features import add_features  # noqa: E402
from corpus.valid_shards import add_shards  # noqa: E402


def main(folder: Path) -> None:
    corpus = Corpus()
    for add in (add_documents, add_shards, add_features):
        add(corpus)
    corpus.write(folder)
    size = sum(len(data) for data in corpus.files.values())
    print(f"{len(corpus.files)} files, {size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
