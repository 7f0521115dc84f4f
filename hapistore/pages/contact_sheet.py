"""The contact sheet: a dataset version as thumbnails by label, with sizes, subsets and what was left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hapistore_format import DatasetVersion

from ..appearing import appearing, check_free
from ..catalog import require_store, resolve_version
from ..errors import UsageError
from ..ingestion import outstanding
from ..stores import ObjectStore
from .choosing import choose_shards
from .pictures import choose_places, make_thumbnails
from .sections import Contents, contact_sheet
from .survey import survey

_OTHER_LABELS = 300


@dataclass(frozen=True, kw_only=True)
class ContactSheetOptions:
    """How much is shown.

    Attributes:
        labels: how many labels, the largest first; per_label: how many images of each, evenly spread.
        replace: whether a file of that name gives way.
    """

    labels: int = 50
    per_label: int = 24
    replace: bool = False

    def __post_init__(self) -> None:
        if self.labels < 1 or self.per_label < 1:
            raise UsageError("at least one label and one image of each are shown")


@dataclass(frozen=True, kw_only=True)
class ContactSheetResult:
    """What a contact sheet shows, of what there is."""

    version: DatasetVersion
    images: int
    images_shown: int
    labels: int
    labels_shown: int
    shards_read: int
    left_out: int
    bytes: int


def write_contact_sheet(
    store: ObjectStore,
    dataset: str,
    path: Path,
    options: ContactSheetOptions | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> ContactSheetResult:
    """Write one HTML file that shows what a dataset holds, and needs nothing else.

    Reads all annotations, and of the image shards at most one for each label shown, or ``choosing.MOST`` where that
    is more. Equal versions and options give equal pages.

    Args:
        dataset: ``pets``, or ``pets@7``.
        on_progress: called with (thumbnails done, thumbnails in all).

    Raises:
        UsageError: there is no such dataset, or the file cannot be written; nothing was.
        FormatError, NotFound: something that is read is damaged, or gone.
    """
    options = options or ContactSheetOptions()
    check_free(path, replace=options.replace)
    require_store(store)
    version = resolve_version(store, dataset)
    found = survey(store, version, labels=options.labels, others=_OTHER_LABELS)
    shards = choose_shards([label.shards for label in found.labels], per_label=options.per_label)
    names = [label.label for label in found.labels]
    places = choose_places(store, version, shards, names, per_label=options.per_label)
    every = [place for label in names for place in places[label]]
    made, sizes = make_thumbnails(store, version, shards, every, on_progress=on_progress)
    thumbnails = {label: [made[place] for place in places[label]] for label in names}
    left_out = outstanding(store, version)
    contents = Contents(
        version=version, survey=found, thumbnails=thumbnails, sizes=sizes, left_out=left_out, shards_read=len(shards)
    )
    page = contact_sheet(contents)
    with appearing(path, replace=options.replace) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return ContactSheetResult(
        version=version,
        images=found.images,
        images_shown=len(every),
        labels=found.num_labels,
        labels_shown=len(names),
        shards_read=len(shards),
        left_out=len(left_out),
        bytes=len(page.encode()),
    )
