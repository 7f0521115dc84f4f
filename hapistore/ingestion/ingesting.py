"""The verb: read a source, write shards, commit a version."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

from hapistore_format import DatasetVersion

from ..catalog import commit_version, ensure_marker, latest_version, parse_dataset, require_commits
from ..catalog.references import new_objects, require_stored
from ..errors import MissingObjects, UsageError
from ..stores import ObjectStore
from .building import Pass
from .options import IngestOptions
from .parent import Parent, ParentMoved
from .quarantine import Quarantined, store_quarantine
from .sources import Source

_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What an ingest did.

    Attributes:
        version: the dataset's newest version; ``committed`` says whether this ingest made it.
        images, bytes: usable images of the source, and their size.
        shards_written, shards_present: image shards that were stored (lost ones that the source brought back
            included), and new ones that were there already.
        ignored: files of the source that were passed over, by reason.
    """

    version: DatasetVersion
    committed: bool
    images: int
    bytes: int
    shards_written: int
    shards_present: int
    quarantined: list[Quarantined]
    ignored: dict[str, int]
    seconds: float


def ingest(
    store: ObjectStore,
    dataset: str,
    source: Source,
    options: IngestOptions | None = None,
    *,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> IngestResult:
    """Add a source's images to a dataset, as a new version.

    The same source again adds nothing; new keys are appended, changed images and annotations replaced.
    Shards are written first and the version last, so a crash leaves no half dataset, and a re-run
    finds what arrived.

    Args:
        dataset: its name; made where there is none.
        on_progress: called with (images done, images in all, or None where the source does not know).

    Raises:
        UsageError: the source or the name cannot be used; nothing was written.
        HapistoreError: no image can be used, or one cannot and ``on_error`` is ``fail``; nothing was committed.
    """
    started = time.perf_counter()
    options = options or IngestOptions()
    name, number = parse_dataset(dataset)
    if number is not None:
        raise UsageError(f"{dataset} names a version, which never changes; ingest into {name}")
    require_commits(store)
    report = on_progress or (lambda done, total: None)
    for attempt in itertools.count(1):
        listing = source.listing()
        parent = Parent.load(store, latest_version(store, name))
        reading = Pass(store, parent, options)
        reading.read(listing, on_begin=partial(ensure_marker, store), on_progress=report)
        try:
            version, committed = _commit(store, name, parent, reading)
            break
        except ParentMoved:
            continue  # another writer took away what this pass counted on
        except MissingObjects:  # gc took a long pass's shards for garbage; another pass stores them again
            if attempt == _ATTEMPTS:
                raise
    return IngestResult(
        version=version,
        committed=committed,
        images=reading.images,
        bytes=reading.bytes,
        shards_written=reading.written,
        shards_present=reading.present,
        quarantined=reading.quarantined,
        ignored=dict(listing.ignored),
        seconds=time.perf_counter() - started,
    )


def _commit(store: ObjectStore, name: str, parent: Parent, reading: Pass) -> tuple[DatasetVersion, bool]:
    """Commit what a pass made onto whatever version is the newest by then.

    Returns:
        The version made; or the newest, where that has it all; and which of the two it is.

    Raises:
        ParentMoved, MissingObjects: it cannot be, or is not whole, without reading the source again.
    """
    quarantine = store_quarantine(reading.small, name, reading.quarantined) if reading.quarantined else None
    new: list[str] = []
    seen: DatasetVersion | None = None

    def build(newest: DatasetVersion | None, number: int) -> DatasetVersion | None:
        nonlocal seen
        seen = newest
        same = (newest.number if newest else 0) == parent.number
        shards = reading.shards(parent if same else Parent.load(store, newest))
        if newest and newest.shards == shards:
            return None
        version = DatasetVersion(
            dataset=name,
            number=number,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            shards=shards,
            quarantined=len(reading.quarantined),
            quarantine=quarantine,
        )
        new[:] = new_objects(version, newest)
        require_stored(store, new, rewrite=reading.small.store_again)
        return version

    version = commit_version(store, name, build)
    if version:
        require_stored(store, new, rewrite=reading.small.store_again)
        return version, True
    if seen is None:
        raise AssertionError("a pass that changes nothing was made on a version")
    return seen, False
