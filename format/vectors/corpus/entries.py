"""The vectors as they are collected, and their two indices."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard
from second.objects import read_object
from second.refused import Refused

Entry = dict[str, Any]


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Corpus:
    """Files by their path in the corpus, and what the indices say of them.

    ``name`` is the object's name in a store, from which a reader knows what it is and what it claims to be.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, list[Entry]] = field(default_factory=lambda: {"valid": [], "invalid": []})

    def valid(self, file: str, name: str, data: bytes, shows: str, *, seal: bytes = b"") -> None:
        """A file, and what it is there for; the values are what the second implementation reads."""
        expected = read_object(name, data, seal)
        self._add("valid", file, name, data, seal, {"shows": shows, "expected": expected})

    def invalid(self, file: str, name: str, data: bytes, code: str, why: str, *, seal: bytes = b"") -> None:
        """A file that is refused with ``code``, by the second implementation at least."""
        try:
            read_object(name, data, seal)
        except Refused as refused:
            if refused.code != code:
                raise ValueError(f"{file}: {refused}, expected {code}") from refused
        else:
            raise ValueError(f"{file} is accepted, expected {code}")
        self._add("invalid", file, name, data, seal, {"code": code, "why": why})

    def _add(self, part: str, file: str, name: str, data: bytes, seal: bytes, more: Entry) -> None:
        path = f"{part}/{file}"
        if path in self.files:
            raise ValueError(f"{path} is there already")
        self.files[path] = data
        beside = {}
        if seal:
            beside = {"seal": f"{path}.json"}
            self.files[beside["seal"]] = seal
        self.entries[part].append({"file": path, "kind": kind_of(name), "name": name, **beside, **more})

    def write(self, folder: Path) -> None:
        """All files and both indices; files of an earlier run are deleted."""
        for part, entries in self.entries.items():
            (folder / part).mkdir(parents=True, exist_ok=True)
            for old in (folder / part).iterdir():
                old.unlink()
            index: Entry = {"vectors": sorted(entries, key=lambda entry: str(entry["file"]))}
            if part == "valid":
                index["made_with"] = made_with()
            text = json.dumps(index, indent=1, sort_keys=True, ensure_ascii=False)
            (folder / f"{part}.json").write_text(text + "\n", encoding="utf-8")
        for path, data in self.files.items():
            (folder / path).write_bytes(data)


def made_with() -> dict[str, str]:
    """Libraries that decide bytes which the format leaves to the writer."""
    return {"arrow": pa.__version__.partition(".")[0], "zstd": ".".join(map(str, zstandard.ZSTD_VERSION))}


def kind_of(name: str) -> str:
    """What an object is, from its name."""
    if name == "hapistore.json":
        return "marker"
    if name.startswith("datasets/"):
        return {"versions": "version", "expired": "expiry"}.get(name.split("/")[2], "quarantine")
    if name.endswith(".lmdb.json"):
        return "seal"
    kind = name.partition("/")[0]
    if kind == "images":
        return "images-" + name.rpartition(".")[2]
    return {"recipes": "recipe", "models": "weights"}.get(kind, kind)
