"""Reading every byte of a store, and naming what is damaged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from hapistore_format import (
    AnnotationShard,
    DatasetVersion,
    Expiry,
    FeatureShardReader,
    FileSeal,
    FormatError,
    Recipe,
    file_digest,
    read_sealed_json,
    read_weights,
)
from hapistore_format.errors import DamagedError

from ..errors import AlreadyExists, NotFound, StoreError
from ..stores import ObjectStore, exists
from .images import check_image_bytes, open_images
from .marker import read_marker
from .names import (
    MARKER,
    ParsedName,
    expiry_name,
    parse_name,
    seal_name,
    version_name,
    weights_name,
)
from .reading import read_object
from .references import version_objects

SET_ASIDE = "damaged/"
_MADE_AGAIN = ("images", "seal", "features", "recipe", "weights")


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One object that is not as it was written, or is missing."""

    name: str
    code: str
    detail: str


@dataclass(kw_only=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        objects, bytes: how much was read.
        damaged: what is broken or missing; ``unknown``: objects that are none of hapistore's.
    """

    objects: int = 0
    bytes: int = 0
    damaged: list[Damage] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def verify_store(
    store: ObjectStore, *, threads: int = 2, on_progress: Callable[[int], None] | None = None
) -> VerifyReport:
    """Read and check every object, and that every version's objects are there.

    Args:
        threads: how many objects are checked at once.
        on_progress: called with the bytes of each object checked.
    """
    report = VerifyReport()
    gone: set[str] = set()
    infos = [info for info in store.list() if not info.name.startswith(SET_ASIDE)]
    with ThreadPoolExecutor(threads, thread_name_prefix="hapistore-verify") as pool:
        for info, found in zip(infos, pool.map(lambda i: _check(store, i.name), infos), strict=True):
            report.objects += 1
            report.bytes += info.bytes
            if found == "unknown":
                report.unknown.append(info.name)
            elif found == "gone":
                gone.add(info.name)
            elif isinstance(found, Damage):
                report.damaged.append(found)
            if on_progress:
                on_progress(info.bytes)
    if infos and all(info.name != MARKER for info in infos):
        report.damaged.append(Damage(name=MARKER, code="missing", detail="objects without it are no hapistore store"))
    report.damaged.extend(_missing(store, {info.name for info in infos} - gone, report))
    return report


def set_aside(store: ObjectStore, damage: Damage) -> str | None:
    """Move a damaged object out of the way, so that it is made again; its bytes are kept.

    Only what ingest or extract make again is moved; versions, say, never get a number twice. Returns the new
    name, or None where nothing was moved.
    """
    parsed = parse_name(damage.name)
    if parsed is None or parsed.kind not in _MADE_AGAIN or damage.code == "missing":
        return None
    kept = _keep(store, SET_ASIDE + damage.name, store.get(damage.name))
    store.delete(damage.name)
    return kept


def _keep(store: ObjectStore, name: str, data: memoryview) -> str:
    """Store bytes under a name, or that name with a number where earlier damage is kept there."""
    for number in itertools.count(1):
        free = name if number == 1 else f"{name}.{number}"
        try:
            store.create(free, data)
            return free
        except AlreadyExists:
            continue
    raise AssertionError("counting does not end")


def _check(store: ObjectStore, name: str) -> Damage | str | None:
    parsed = parse_name(name)
    if parsed is None:
        return "unknown"
    try:
        if parsed.kind == "images":
            return _check_images(store, name, parsed)
        read_object(store, name, partial(_CHECKS[parsed.kind], parsed))
    except NotFound:
        return "gone"  # removed since it was listed
    except (FormatError, StoreError) as error:
        return _damage(name, error)
    return None


def read_verified(store: ObjectStore, name: str) -> memoryview:
    """An object's bytes, checked as ``verify_store`` checks them.

    Raises:
        NotFound: there is none.
        FormatError: it is damaged.
    """
    parsed = parse_name(name)
    if parsed is None:
        raise ValueError(f"{name} is no object of hapistore's")

    def parse(data: memoryview, /, *, where: str) -> memoryview:
        if parsed.kind == "images":
            check_image_bytes(store, parsed.parts["digest"], parsed.parts["layout"], data)
        else:
            _CHECKS[parsed.kind](parsed, data, where=where)
        return data

    return read_object(store, name, parse)


def _damage(name: str, error: FormatError | StoreError) -> Damage:
    if isinstance(error, FormatError):
        return Damage(name=name, code=error.code, detail=error.detail)
    return Damage(name=name, code="unreadable", detail=str(error))


def _check_marker(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    read_marker(data, where=where)


def _check_version(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    version = DatasetVersion.parse(data, where=where)
    if (version.dataset, version.number) != (parsed.parts["dataset"], int(parsed.parts["number"])):
        raise DamagedError("bad-name", f"it holds {version.label}", where=where)


def _check_expiry(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    expiry = Expiry.parse(data, where=where)
    if (expiry.dataset, expiry.number) != (parsed.parts["dataset"], int(parsed.parts["number"])):
        raise DamagedError("bad-name", f"it is the expiry of {expiry.dataset}@{expiry.number}", where=where)


def _check_named_by_bytes(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    if file_digest(data) != parsed.parts["digest"]:
        raise DamagedError("bad-digest", "its bytes are not those it is named by", where=where)


def _check_quarantine(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    _check_named_by_bytes(parsed, data, where=where)
    read_sealed_json(data, where=where)


def _check_annotations(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    _check_named_by_bytes(parsed, data, where=where)
    AnnotationShard(data, where=where)


def _check_images(store: ObjectStore, name: str, parsed: ParsedName) -> Damage | None:
    """A file beside a seal is checked with it; where the seal itself is broken, that is what is named."""
    digest, layout = parsed.parts["digest"], parsed.parts["layout"]
    try:
        open_images(store, digest, layout).check_digests()
    except NotFound:
        if layout == "lmdb" and exists(store, name):
            return Damage(name=seal_name(digest), code="missing", detail=f"{name} cannot be read without it")
        raise
    except FormatError as error:
        if error.where == name:
            raise
    return None


def _check_seal(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    seal = FileSeal.parse(data, where=where)
    if seal.images != parsed.parts["digest"]:
        raise DamagedError("bad-name", f"it is the seal of image shard {seal.images[:12]}", where=where)


def _check_recipe(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    Recipe.parse(data, where=where).check_name(parsed.parts["digest"], where=where)


def _check_weights(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    read_weights(data, parsed.parts["digest"], where=where)


def _check_features(parsed: ParsedName, data: memoryview, *, where: str) -> None:
    reader = FeatureShardReader(data, where=where)
    header = reader.header
    if (header.recipe, header.codec, header.images) != tuple(parsed.parts[k] for k in ("recipe", "codec", "images")):
        raise DamagedError("bad-name", "it holds the features of another shard, recipe or codec", where=where)
    reader.stored()


_CHECKS: dict[str, Callable[..., None]] = {
    "marker": _check_marker,
    "version": _check_version,
    "expiry": _check_expiry,
    "quarantine": _check_quarantine,
    "seal": _check_seal,
    "annotations": _check_annotations,
    "recipe": _check_recipe,
    "weights": _check_weights,
    "features": _check_features,
}


def _missing(store: ObjectStore, present: set[str], report: VerifyReport) -> Iterator[Damage]:
    """Objects that a whole version or recipe names and that are not there. Of expired versions none is missed."""
    broken = {damage.name for damage in report.damaged}
    wanted: dict[str, str] = {}
    for name in sorted(present - broken):
        parsed = parse_name(name)
        if parsed and parsed.kind == "version":
            if expiry_name(parsed.parts["dataset"], int(parsed.parts["number"])) not in present:
                version = read_object(store, name, DatasetVersion.parse)
                wanted |= {part: wanted.get(part, version.label) for part in version_objects(version)}
        elif parsed and parsed.kind == "expiry":
            wanted.setdefault(version_name(parsed.parts["dataset"], int(parsed.parts["number"])), "its expiry marker")
        elif parsed and parsed.kind == "recipe":
            try:
                recipe = read_object(store, name, Recipe.parse)
            except NotFound:
                continue  # removed since it was listed
            wanted.setdefault(weights_name(recipe.weights), f"recipe {recipe.digest[:12]}")
    for name, by in wanted.items():
        if name not in present and name not in broken and not exists(store, name):  # written since it was listed
            yield Damage(name=name, code="missing", detail=f"{by} needs it and it is not there")
