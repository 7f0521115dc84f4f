"""Getting a job's prefix into a process of its own, and finding out what it takes there."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...catalog import register_recipe
from ...catalog.recipes import is_registered, register_by_weights
from ...errors import HapistoreError
from ...models import AnyPrefix
from ...stores import ObjectStore
from ...stores.idioms import RENEW_AFTER_S
from .. import memory
from ..executors import ChildExecutor, ExecutorChoice, choose_executor
from ..forwarding import versions_of_libraries
from ..probing import probe_child
from ..profiles import ExtractionProfile, ProfileKey, load_profile, save_profile
from ..recipes import recipe_of
from .jobs import CheckedJob

# Of a process with torch and an executor, and of an image in it, where nothing was measured.
_PROCESS_BYTES, _IMAGE_BYTES, _GUESSED_IMAGES = 450 << 20, 40 << 20, 8
_GUESSED_RATE = 30.0  # images per second
# A job of one image shard takes less than writing a file safely.
_SAVED_EVERY_S = 10.0
# Exported, converted and compiled, weights are there so many times.
_TIMES_WEIGHTS = 4


@dataclass
class Loaded:
    """A prefix in its process.

    Attributes:
        largest: the largest batch since its process started: executors keep what that took.
    """

    choice: ExecutorChoice
    executor: ChildExecutor
    largest: int = 0

    def close(self) -> None:
        """End the process."""
        self.executor.close()

    def shrink(self) -> None:
        """End the process; the next batch starts another, which has not grown yet."""
        self.executor.end_child()
        self.largest = 0


class Loader:
    """Loads one prefix at a time: exporting and compiling take every core and much memory.

    Args:
        memory_bytes: what this process and any one child may occupy.

    Attributes:
        turn: held by who loads.
    """

    def __init__(self, store: ObjectStore, memory_bytes: int) -> None:
        self._store, self._memory_bytes = store, memory_bytes
        self.turn = threading.Lock()
        self._choices: dict[Hashable, ExecutorChoice] = {}
        self._profiles: dict[Hashable, ExtractionProfile] = {}
        self._saved: dict[Hashable, float] = {}  # when a profile may be saved again
        # Until when gc leaves alone what was registered here.
        self._registered: dict[str, float] = {}

    @staticmethod
    def key(checked: CheckedJob) -> Hashable:
        """Jobs of one key can use each other's prefix; whatever variant of the images they are about."""
        return checked.recipe.plain.digest, checked.job.executor, checked.job.device

    def profile(self, checked: CheckedJob) -> ExtractionProfile | None:
        """Memory of the whole child, and throughput, as measured here or by an earlier worker."""
        key = self.key(checked)
        if key not in self._profiles:
            known = load_profile(_profile_key(checked))
            if known is None:
                return None
            self._profiles[key] = known
        return self._profiles[key]

    def guess_bytes(self, checked: CheckedJob) -> int:
        """What loading and measuring may take, where nothing is known; rather too much."""
        child = _PROCESS_BYTES + _TIMES_WEIGHTS * checked.weights_bytes + _GUESSED_IMAGES * _IMAGE_BYTES
        alone = checked.job.executor == "torch" and checked.recipe.precision == "f32"
        # The reference that others are checked against has a process as well.
        return child if alone else 2 * child

    def guess_seconds(self, checked: CheckedJob) -> float:
        """What a job will take alone, for fair shares."""
        profile = self.profile(checked)
        rate = profile.curve.rate(checked.job.max_batch) if profile else 0.0
        return max(1, checked.version.rows) / (rate or _GUESSED_RATE)

    def load(
        self, checked: CheckedJob, sample: Callable[[], list[np.ndarray]], take: Callable[[], Loaded | None]
    ) -> Loaded:
        """Into a child; its recipe and weights are in the store then, if its features are to be kept.

        Args:
            take: gives one that is loaded, if there is one.
            sample: gives some real images, uint8 [height, width, 3].
        """
        with self.turn:
            kept = take()  # another job's, which ended meanwhile
            if kept is not None:
                return kept
            prefix = checked.load()
            self._register(checked, prefix)
            known = self._choices.get(self.key(checked))
            choice = self._choose(checked, prefix, sample()) if known is None else self._open_again(prefix, known)
            self._choices[self.key(checked)] = choice
            del prefix
            memory.reset_peak()  # gives back what exporting took
            assert isinstance(choice.executor, ChildExecutor)
            return Loaded(choice, choice.executor)

    def _choose(self, checked: CheckedJob, prefix: AnyPrefix, sample: list[np.ndarray]) -> ExecutorChoice:
        return choose_executor(
            prefix,
            checked.job.executor,
            sample=np.stack(sample or [np.zeros(prefix.pixel_shape, np.uint8)]),
            device=checked.job.device,
            precision=checked.recipe.precision,
            images=checked.version.rows,
            child=True,
            memory_bytes=self._memory_bytes,
        )

    def _open_again(self, prefix: AnyPrefix, known: ExecutorChoice) -> ExecutorChoice:
        """What was chosen, and checked with these very weights, for another job."""
        made = known.executor
        label = f"{made.name} {made.variant}".strip()
        device = "cpu" if made.device == "cpu" else "cuda"
        executor = ChildExecutor(prefix, label, made.precision, device=device, memory_bytes=self._memory_bytes)
        return replace(known, executor=executor)

    def keep_registered(self, checked: CheckedJob) -> None:
        """Register a recipe where it is not: nothing had to be loaded, or ``gc`` came between."""
        digest = checked.recipe.digest
        if not checked.job.keep or time.monotonic() < self._registered.get(digest, 0.0):
            return
        if is_registered(self._store, checked.recipe):
            return
        if register_by_weights(self._store, checked.recipe):
            self._registered[digest] = time.monotonic() + RENEW_AFTER_S
            return
        with self.turn:
            self._register(checked, checked.load())

    def _register(self, checked: CheckedJob, prefix: AnyPrefix) -> None:
        """Store the recipe and the weights, if its features are to be kept.

        Raises:
            HapistoreError: it is not the network that the job was checked with.
        """
        loaded, weights = recipe_of(prefix, precision=checked.recipe.precision)
        if loaded.digest != checked.recipe.plain.digest:
            raise HapistoreError(
                f"the network loaded for {checked.recipe.label} is another one: its recipe is {loaded.digest[:12]}, "
                f"expected {checked.recipe.plain.digest[:12]}; submit the job again"
            )
        if checked.job.keep:
            recipe = replace(loaded, augmentation=checked.recipe.augmentation)
            register_recipe(self._store, recipe, weights)
            self._registered[recipe.digest] = time.monotonic() + RENEW_AFTER_S

    def measure(
        self, checked: CheckedJob, loaded: Loaded, images: Sequence[np.ndarray], room_bytes: int
    ) -> ExtractionProfile:
        """What a prefix takes in its child, and how fast it is; see `probe_child`."""
        profile = probe_child(loaded.executor, images, room_bytes=room_bytes, max_batch=checked.job.max_batch)
        loaded.largest = profile.model.largest
        return self.keep(checked, profile)

    def keep(self, checked: CheckedJob, profile: ExtractionProfile) -> ExtractionProfile:
        """For other jobs of the same key, and other workers."""
        key, now = self.key(checked), time.monotonic()
        self._profiles[key] = profile
        if now >= self._saved.get(key, 0.0):
            save_profile(_profile_key(checked), profile)
            self._saved[key] = now + _SAVED_EVERY_S
        return profile


def host_model(checked: CheckedJob, window_bytes: int) -> tuple[int, int]:
    """What a job takes of this process: bytes at any batch, and bytes an image of its batch.

    Two shards being read, two of features being filled and encoded, and what it decodes ahead; an image of the batch is
    there as it came, in the batch, and in memory shared with the child.
    """
    pixels = math.prod(checked.preprocess.pixel_shape)
    features = 4 * math.prod(checked.recipe.shape)
    ahead = min(window_bytes, checked.most_rows * pixels)
    return 2 * checked.most_bytes + 3 * checked.most_rows * features + ahead, 3 * pixels + 2 * features


def _profile_key(checked: CheckedJob) -> ProfileKey:
    return ProfileKey(
        program=checked.recipe.plain.digest,
        precision=checked.recipe.precision,
        executor=f"{checked.job.executor}, a whole child",
        device=checked.job.device or "",
        versions=versions_of_libraries(),
    )
