"""The verb: removing what no version reaches, while others write and read.

A writer creates objects first and the version that names them last. What is young may be about to be named and stays;
what is old and named by nothing goes, after a look at the versions that were committed meanwhile. Writers do their
part: ``ensure`` of ``stores/idioms.py``, and ``require_stored`` of ``references.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hapistore_format import DatasetVersion

from ..errors import NotFound, UsageError
from ..stores import ObjectInfo, ObjectStore, delete_older, exists, idioms
from ..stores.clock import PROBES, read_clock
from ..stores.protocol import LocalObjects
from ..threads import map_ahead
from .marker import require_store
from .names import ParsedName, expiry_name, features_name, images_name, parse_name
from .reachable import Reachable, object_key
from .recipes import list_recipes
from .references import version_objects

_CHUNK = 256
"""So many are removed after one look at the versions."""
_THREADS = 8
_NAMED = ("images", "seal", "annotations", "quarantine")


@dataclass(frozen=True, kw_only=True)
class GcOptions:
    """How to collect.

    Attributes:
        grace_s: what is younger stays, and so does what versions name that expired less than this ago.
        dry_run: only say what would go.
        no_writers: that nothing else writes, so that any grace will do.
    """

    grace_s: float = 7 * 86_400
    dry_run: bool = False
    no_writers: bool = False

    def __post_init__(self) -> None:
        least = 2 * idioms.RENEW_AFTER_S
        if self.grace_s < 0 or (self.grace_s < least and not self.no_writers):
            raise UsageError(
                f"a grace of {self.grace_s:.0f} s is too short, expected at least {least:.0f}: a writer may be about "
                "to name what it found; if nothing else writes to this store, say so with --no-writers"
            )


@dataclass(kw_only=True)
class GcReport:
    """What a collection did, or with ``dry_run`` would have done.

    Attributes:
        versions: that are kept, with all that they name; expired: versions past the grace.
        objects: looked at; kept: of these, reached; young: not reached, but younger than the grace (or written anew).
        foreign: that are none of hapistore's, and are left alone.
        removed: how many objects by kind; removed_bytes: their size; temporary: files that killed writers left.
        lost: objects that a version names which was committed meanwhile, and that are gone. Always none, unless a
            writer broke the rules.
    """

    versions: int = 0
    expired: int = 0
    objects: int = 0
    kept: int = 0
    young: int = 0
    foreign: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    removed_bytes: int = 0
    temporary: int = 0
    lost: list[str] = field(default_factory=list)


def collect_garbage(
    store: ObjectStore, options: GcOptions | None = None, *, on_progress: Callable[[int], None] | None = None
) -> GcReport:
    """Remove what no version reaches. Stopped at any moment, nothing that is needed is lost, and the next run goes on.

    Args:
        on_progress: called with how many objects were looked at.

    Raises:
        UsageError: the store cannot list reliably, or there is none.
        FormatError: a version or recipe is damaged, so that it is not known what it needs.
    """
    options = options or GcOptions()
    require_store(store)
    if not store.capabilities.consistent_list:
        raise UsageError(
            f"{store.url} lists objects late, so gc could miss a version and remove its images; it works in stores "
            "that list consistently (copy what you want to keep to one with `hapistore cp`)"
        )
    cutoff = read_clock(store) - options.grace_s
    sweep = _Sweep(store, cutoff, dry_run=options.dry_run)
    for count, info in enumerate(store.list(), 1):
        sweep.look(info)
        if on_progress:
            on_progress(count)
    sweep.finish()
    if isinstance(store, LocalObjects):
        sweep.report.temporary = store.clean_temporary(cutoff, dry_run=options.dry_run)
    return sweep.report


class _Sweep:
    """One walk over all objects; garbage is removed some at a time, as it is found."""

    def __init__(self, store: ObjectStore, cutoff_s: float, *, dry_run: bool) -> None:
        self._store, self._cutoff_s, self._dry_run = store, cutoff_s, dry_run
        self._reachable = Reachable(store, cutoff_s)
        self._reachable.refresh()
        list_recipes(store)  # a damaged one is found before anything is removed
        self._pending: list[tuple[ObjectInfo, ParsedName]] = []
        self._recipes: list[tuple[ObjectInfo, ParsedName]] = []
        self._weights: list[tuple[ObjectInfo, ParsedName]] = []
        self._used_recipes: set[str] = set()
        self._removed: set[bytes] = set()
        self._late: list[DatasetVersion] = []
        self.report = GcReport()

    def look(self, info: ObjectInfo) -> None:
        """Take note of an object, and remove a chunk of garbage where there is one."""
        self.report.objects += 1
        parsed = parse_name(info.name)
        if parsed is None:
            if info.name.startswith(PROBES) and self._is_old(info):
                self._pending.append((info, ParsedName("probe", {})))
            else:
                self.report.foreign += 1
        elif parsed.kind == "recipe":
            self._recipes.append((info, parsed))
        elif parsed.kind == "weights":
            self._weights.append((info, parsed))
        elif parsed.kind not in (*_NAMED, "features") or self._reachable.holds(parsed):
            self._keep(parsed)
        elif self._is_old(info):
            self._pending.append((info, parsed))
        else:
            self.report.young += 1
            self._use(parsed)
        if len(self._pending) >= _CHUNK:
            self._remove_pending()

    def finish(self) -> None:
        """Remove the rest: recipes after their features, weights after their recipes; and look whether all is well."""
        self._remove_pending()
        dead = [(info, parsed) for info, parsed in self._recipes if not self._needs_recipe(info, parsed)]
        self.report.kept += len(self._recipes) - len(dead)
        self._remove([(info, parsed) for info, parsed in dead if self._dry_run or not self._has_features(parsed)])
        gone = {parsed.parts["digest"] for _, parsed in dead} if self._dry_run else set()
        named = {recipe.weights for recipe in list_recipes(self._store) if recipe.digest not in gone}
        self._remove_or_keep_weights(named)
        self._late += self._reachable.refresh()
        self.report.versions, self.report.expired = self._reachable.versions, self._reachable.expired
        self.report.lost = self._find_lost()

    def _is_old(self, info: ObjectInfo) -> bool:
        return info.modified < self._cutoff_s

    def _keep(self, parsed: ParsedName) -> None:
        self.report.kept += 1
        self._use(parsed)

    def _use(self, parsed: ParsedName) -> None:
        if parsed.kind == "features":
            self._used_recipes.add(parsed.parts["recipe"])

    def _needs_recipe(self, info: ObjectInfo, parsed: ParsedName) -> bool:
        return parsed.parts["digest"] in self._used_recipes or not self._is_old(info)

    def _has_features(self, recipe: ParsedName) -> bool:
        """Whether somebody has extracted with it meanwhile."""
        prefix = features_name(recipe.parts["digest"], "", "").partition("//")[0] + "/"
        return any(True for _ in self._store.list(prefix))

    def _remove_or_keep_weights(self, named: set[str]) -> None:
        dead = []
        for info, parsed in self._weights:
            if parsed.parts["digest"] in named:
                self.report.kept += 1
            elif self._is_old(info):
                dead.append((info, parsed))
            else:
                self.report.young += 1
        self._remove(dead)

    def _remove_pending(self) -> None:
        """Remove what is garbage still, now that the versions were read again; files before their seals."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        self._late += self._reachable.refresh()
        garbage = []
        for info, parsed in pending:
            if parsed.kind != "probe" and self._reachable.holds(parsed):
                self._keep(parsed)
            else:
                garbage.append((info, parsed))
        self._remove([(info, parsed) for info, parsed in garbage if parsed.kind != "seal"])
        self._remove([(info, parsed) for info, parsed in garbage if parsed.kind == "seal"])

    def _remove(self, garbage: Sequence[tuple[ObjectInfo, ParsedName]]) -> None:
        """Remove objects that are as old as they were when they were listed."""
        done = map_ahead(self._delete, garbage, threads=_THREADS, ahead=_CHUNK, name="hapistore-gc")
        for (info, parsed), removed in zip(garbage, done, strict=True):
            if not removed:
                self.report.young += 1
                self._use(parsed)
                continue
            self.report.removed[parsed.kind] += 1
            self.report.removed_bytes += info.bytes
            if parsed.kind in _NAMED:
                self._removed.add(object_key(parsed))

    def _delete(self, candidate: tuple[ObjectInfo, ParsedName]) -> bool:
        info, parsed = candidate
        if self._dry_run:
            return True
        if parsed.kind == "seal" and exists(self._store, images_name(parsed.parts["digest"], "lmdb")):
            return False
        try:
            return delete_older(self._store, info.name, self._cutoff_s)
        except NotFound:
            return True  # another gc was first

    def _find_lost(self) -> list[str]:
        if self._dry_run:
            return []
        lost = []
        late = [v for v in self._late if not exists(self._store, expiry_name(v.dataset, v.number))]
        for name in dict.fromkeys(name for version in late for name in version_objects(version)):
            parsed = parse_name(name)
            if parsed and object_key(parsed) in self._removed and not exists(self._store, name):
                lost.append(name)
        return lost
