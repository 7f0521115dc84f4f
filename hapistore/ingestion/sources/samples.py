"""WebDataset's samples: consecutive members of a tar whose names are the same up to the first dot."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hapistore_format.image_shard import MAX_IMAGE_BYTES

from ...errors import ImageError, UsageError
from .class_folders import has_image_extension
from .keys import problem_of_key
from .protocol import ImageRef
from .tar_members import Member, TarReader

_NAME = re.compile(r"((?:.*/|)[^./][^./]*)\.([^/]*)", re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_TEXTS = ("cls", "json", "txt")
_LONGEST_TEXT = 16 << 20
_MOST_MEMBERS = 1000
_MOST_REASONS = 50


@dataclass
class Sample:
    """Members of one key, as far as they are used.

    Attributes:
        images: by extension, lower case; texts: those that are read, by extension; seen: all extensions.
        unusable: why a text was not read.
    """

    key: str
    images: dict[str, ImageRef] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    unusable: ImageError | None = None
    seen: set[str] = field(default_factory=set)

    def image(self, chosen: str | None, where: str) -> ImageRef | None:
        """The one image; None where there is none.

        Raises:
            UsageError: there are several, and none was chosen.
        """
        if chosen is not None:
            return self.images.get(chosen)
        plain = [extension for extension in self.images if "." not in extension]
        candidates = plain or [*self.images]  # of jpg and seg.png, jpg
        if len(candidates) > 1:
            raise UsageError(
                f"{where}: sample {self.key!r:.200} has images as {' and '.join(candidates)}; "
                "choose one by --image-extension"
            )
        return self.images[candidates[0]] if candidates else None

    def annotations(self) -> dict[str, Any]:
        """Key, label, subset, and columns of .json and .txt.

        Raises:
            ImageError: ``bad-metadata``.
        """
        if self.unusable:
            raise self.unusable
        said = self._json() if "json" in self.texts else {}
        row = {**said, "key": self.key}
        if "cls" in self.texts:
            text = self._text("cls").strip()
            row["label"] = int(text) if _INTEGER.fullmatch(text) else text or None
        if "txt" in self.texts:
            row["txt"] = self._text("txt")
        return row

    def _json(self) -> dict[str, Any]:
        try:
            said = json.loads(self._text("json"))
        except (ValueError, RecursionError) as error:
            raise ImageError("bad-metadata", f"{self.key}.json cannot be read: {error}") from error
        if not isinstance(said, dict):
            raise ImageError("bad-metadata", f"{self.key}.json is no object")
        return said

    def _text(self, extension: str) -> str:
        try:
            return self.texts[extension].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ImageError("bad-metadata", f"{self.key}.{extension} is not UTF-8: {error}") from error


def read_samples(tar: TarReader, ignored: Counter[str], *, chosen: str | None) -> Iterator[Sample]:
    """Samples of a tar, in its order; those of no image too.

    Args:
        chosen: of which extension the image is, lower case.
        ignored: counts members that are passed over, by reason.
    """
    sample: Sample | None = None
    for member in tar:
        named = _split(member, ignored)
        if named is None:
            continue
        key, extension = named
        # An extension that comes again begins another sample, of the same key: the build refuses it.
        if sample is None or sample.key != key or extension in sample.seen:
            if sample:
                yield sample
            sample = Sample(key)
        sample.seen.add(extension)
        if len(sample.seen) > _MOST_MEMBERS:
            raise UsageError(f"{tar.where}: sample {key!r:.200} has more than {_MOST_MEMBERS} members")
        if extension in _TEXTS:
            _take_text(sample, extension, tar, member)
        elif extension == chosen or (chosen is None and has_image_extension("x." + extension)):
            # Of several nothing can come but an error: two are enough to say so.
            if chosen is not None or len(sample.images) < 2 or "." not in extension:
                sample.images[extension] = _read_image(tar, member)
        else:
            reason = f"members .{extension:.40}"
            known = reason in ignored or len(ignored) < _MOST_REASONS
            ignored[reason if known else "members with other extensions"] += 1
    if sample:
        yield sample


def _take_text(sample: Sample, extension: str, tar: TarReader, member: Member) -> None:
    if member.size <= _LONGEST_TEXT:
        sample.texts[extension] = tar.read(member)
    else:
        said = f"{member.name} has {member.size} bytes, expected at most {_LONGEST_TEXT}"
        sample.unusable = ImageError("bad-metadata", said)


def _read_image(tar: TarReader, member: Member) -> ImageRef:
    if member.size <= MAX_IMAGE_BYTES:
        return tar.read(member)
    return failing(
        ImageError("too-large", f"{member.name} has {member.size} bytes, expected at most {MAX_IMAGE_BYTES}")
    )


def failing(error: ImageError) -> ImageRef:
    """An image that cannot be had."""

    def fail() -> bytes:
        raise error

    return fail


def _split(member: Member, ignored: Counter[str]) -> tuple[str, str] | None:
    """Key and extension of a member; None where it is passed over."""
    if not member.is_file:
        if not member.name.endswith("/") and member.name not in (".", ""):
            ignored["links, devices and folders"] += 1
        return None
    found = _NAME.fullmatch(member.name.removeprefix("./"))
    if found is None:
        ignored["members without an extension"] += 1
        return None
    problem = problem_of_key(found[1])
    if problem:
        ignored[f"members whose names are {problem}"] += 1
        return None
    return found[1], found[2].lower()
