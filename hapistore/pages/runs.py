"""What a user's runs took, from the JSON files that they saved: one line naming the field where a file is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..catalog import parse_dataset
from ..errors import UsageError
from ..planning.json_fields import field, line, number, object_of, shown, whole
from .plan_runs import PlanRun, read_plan, read_profile

MOST_BYTES = 16 << 20
_MOST_STAGES, _MOST_EPOCHS = 20, 100_000
_LONGEST = 200
_EXPECTED = (
    "expected what `hapistore extract --json`, `ingest --json`, `plan --json` or `plan --save-profile` gives, or a "
    'training run, which has "kind": "training" (docs/pages.md)'
)


@dataclass(frozen=True, kw_only=True)
class ExtractionRun:
    """An extraction.

    Attributes:
        images: that ran through the network; extracted, transcoded, present: image shards.
        executor: for people; empty where nothing had to run.
        stage_s: seconds of all threads together, by stage.
    """

    dataset: str
    recipe: str
    images: int
    extracted: int
    transcoded: int
    present: int
    executor: str
    batch: int
    peak_bytes: int
    seconds: float
    stage_s: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class IngestRun:
    """An ingest.

    Attributes:
        images, bytes: usable images of the source, and their size; left_out: how many were none.
        shards: of the version that it left; shards_written: by it.
    """

    dataset: str
    images: int
    bytes: int
    shards: int
    shards_written: int
    left_out: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrainedEpoch:
    """An epoch of a training: how long it took, how much of that it waited for data, what it pulled; as far as told."""

    seconds: float
    wait_s: float | None
    bytes: int | None


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A training: its epochs in turn, at least one."""

    dataset: str
    epochs: tuple[TrainedEpoch, ...]


Run = ExtractionRun | IngestRun | PlanRun | TrainingRun


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """A file's name, without its folder, and what it says."""

    name: str
    run: Run


def read_run(path: Path, *, link: float, epochs: int) -> RunFile:
    """Read a file that anyone may have written.

    Args:
        link: bytes/s, and epochs: what a profile, which knows of neither, is planned for.

    Raises:
        UsageError: it is none of what is read, or a field holds what it may not; the message begins with the path.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; give a file that can be read") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path}: more than {MOST_BYTES >> 20} MiB; {_EXPECTED}")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise UsageError(f"{path}: found no JSON ({error}); {_EXPECTED}") from None
    try:
        fields = object_of(value, "the file")
        return RunFile(name=path.name, run=_reader(fields)(fields, link, epochs))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _reader(fields: Mapping[str, Any]) -> Callable[[Mapping[str, Any], float, int], Run]:
    """What reads a file with these fields."""
    if "kind" in fields:
        if fields["kind"] != "training":
            raise UsageError(f"kind: found {shown(fields['kind'])}, expected 'training'")
        return _training
    for needed, reader in _READERS:
        if needed <= fields.keys():
            return reader
    some = ", ".join(map(shown, list(fields)[:4])) or "none"
    raise UsageError(f"found an object with the fields {some}{', …' if len(fields) > 4 else ''}; {_EXPECTED}")


def _extraction(fields: Mapping[str, Any], link: float, epochs: int) -> ExtractionRun:
    stages = object_of(field(fields, "stage_seconds", "stage_seconds"), "stage_seconds")
    if len(stages) > _MOST_STAGES:
        raise UsageError(f"stage_seconds: found {len(stages)} stages, expected {_MOST_STAGES} at most")
    return ExtractionRun(
        dataset=_version(fields),
        recipe=_text(fields, "recipe"),
        images=whole(fields, "images", "images"),
        extracted=whole(fields, "shards_extracted", "shards_extracted"),
        transcoded=whole(fields, "shards_transcoded", "shards_transcoded"),
        present=whole(fields, "shards_present", "shards_present"),
        executor=_text(fields, "executor") if fields.get("executor") != "" else "",
        batch=whole(fields, "batch", "batch"),
        peak_bytes=whole(fields, "peak_bytes", "peak_bytes"),
        seconds=number(fields, "seconds", "seconds"),
        stage_s={stage: number(stages, stage, f"stage_seconds.{shown(stage)}") for stage in stages},
    )


def _ingest(fields: Mapping[str, Any], link: float, epochs: int) -> IngestRun:
    return IngestRun(
        dataset=_version(fields),
        images=whole(fields, "images", "images"),
        bytes=whole(fields, "bytes", "bytes"),
        shards=whole(fields, "shards", "shards"),
        shards_written=whole(fields, "shards_written", "shards_written"),
        left_out=len(_list(fields, "quarantined")),
        seconds=number(fields, "seconds", "seconds"),
    )


def _training(fields: Mapping[str, Any], link: float, epochs: int) -> TrainingRun:
    told = _list(fields, "epochs")
    if not 0 < len(told) <= _MOST_EPOCHS:
        raise UsageError(f"epochs: found {shown(told)}, expected a list of 1 to {_MOST_EPOCHS}")
    dataset = _text(fields, "dataset")
    try:
        parse_dataset(dataset)
    except UsageError as error:
        raise UsageError(f"dataset: {error}") from None
    return TrainingRun(dataset=dataset, epochs=tuple(_epoch(one, f"epochs[{n}]") for n, one in enumerate(told)))


def _epoch(value: object, where: str) -> TrainedEpoch:
    fields = object_of(value, where)
    seconds = number(fields, "seconds", f"{where}.seconds")
    wait_s = number(fields, "wait_seconds", f"{where}.wait_seconds") if "wait_seconds" in fields else None
    if wait_s is not None and wait_s > seconds:
        raise UsageError(f"{where}.wait_seconds: found {wait_s:g}, expected at most its {seconds:g} seconds")
    pulled = whole(fields, "bytes", f"{where}.bytes") if "bytes" in fields else None
    return TrainedEpoch(seconds=seconds, wait_s=wait_s, bytes=pulled)


def _version(fields: Mapping[str, Any]) -> str:
    """``pets@7``."""
    label = f"{_text(fields, 'dataset')}@{whole(fields, 'version', 'version', least=1)}"
    try:
        parse_dataset(label)
    except UsageError as error:
        raise UsageError(f"dataset: {error}") from None
    return label


def _text(fields: Mapping[str, Any], key: str) -> str:
    text = line(fields, key, key)
    if len(text) > _LONGEST:
        raise UsageError(f"{key}: found {len(text)} characters, expected at most {_LONGEST}")
    return text


def _list(fields: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = field(fields, key, key)
    if not isinstance(value, list):
        raise UsageError(f"{key}: found {shown(value)}, expected a list")
    return value


_READERS: tuple[tuple[set[str], Callable[[Mapping[str, Any], float, int], Run]], ...] = (
    ({"stage_seconds", "recipe"}, _extraction),
    ({"shards_written", "committed"}, _ingest),
    ({"candidates", "policy"}, read_plan),
    ({"cuts", "freeze_index"}, read_profile),
)
