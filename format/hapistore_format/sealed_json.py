"""Sealed JSON: small objects (store marker, versions, recipes, reports) that end in their own hash.

Keys are sorted, indentation is one space, the encoding is UTF-8, and the last member is
``"sha256"``. Its value therefore stands at a fixed distance from the end of the file.
"""

from __future__ import annotations

import json
from typing import Any

from .digests import is_digest
from .errors import DamagedError, FormatError
from .seal import BLANK, check_seal, compute_seal

MAX_JSON_BYTES = 256 << 20
MAX_JSON_DEPTH = 64  # deeper ones could be parsed or not, copied or not, as the caller's stack allows
_END = b'"\n}\n'
_KEY = b',\n "sha256": "'


def canonical_json(value: Any) -> bytes:
    """The one spelling of a JSON value, for hashing: sorted keys, no spaces, UTF-8, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def write_sealed_json(value: dict[str, Any]) -> bytes:
    """Serialise an object and end it in the hash of all its bytes.

    Args:
        value: at least one member, none of them called ``sha256``.
    """
    if not value or "sha256" in value:
        raise ValueError("a sealed object has members, and none called 'sha256'")
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8")
    blank = text[: -len(b"\n}")] + _KEY + BLANK + _END
    at = len(blank) - len(_END) - 64
    return blank[:at] + compute_seal(blank, at) + _END


def read_sealed_json(data: bytes | memoryview, *, where: str) -> dict[str, Any]:
    """Check and parse a sealed object; the returned dict is without its ``sha256``.

    Raises:
        DamagedError: ``bad-seal`` or ``no-seal``.
        FormatError: ``too-large`` or ``bad-json``.
    """
    if len(data) > MAX_JSON_BYTES:
        raise FormatError("too-large", f"{len(data)} bytes, expected at most {MAX_JSON_BYTES}", where=where)
    raw = bytes(data)
    at = len(raw) - len(_END) - 64
    if at < len(_KEY) or not raw.endswith(_END) or raw[at - len(_KEY) : at] != _KEY:
        raise DamagedError("no-seal", "it does not end in its hash, as every stored JSON object does", where=where)
    check_seal(raw, at, where=where)
    value = _parse(raw, "bad-json", "it", where=where)
    del value["sha256"]
    return value


def parse_object(text: bytes, code: str, *, where: str) -> dict[str, Any]:
    """The JSON object with which a shard describes itself.

    Raises:
        FormatError: ``code``.
    """
    return _parse(text, code, "its description", where=where)


def _parse(text: bytes, code: str, what: str, *, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_members_once)
    except (ValueError, RecursionError) as error:
        raise FormatError(code, f"{what} is no JSON object: {error!s:.200}", where=where) from error
    if not isinstance(value, dict):
        raise FormatError(code, f"{what} is no JSON object", where=where)
    inside: list[Any] = [value]
    for _ in range(MAX_JSON_DEPTH):
        inside = [v for parent in inside for v in (parent.values() if isinstance(parent, dict) else parent)]
        inside = [v for v in inside if isinstance(v, (dict, list))]
    if inside:
        raise FormatError(code, f"{what} is nested more than {MAX_JSON_DEPTH} deep", where=where)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):  # parsers differ in which they take
        raise ValueError("a member stands there twice")
    return value


def is_shape(sides: list[Any]) -> bool:
    """Whether this is the shape of a feature: one to four integers (and no ``true``) from 1 on."""
    return 1 <= len(sides) <= 4 and all(type(side) is int and 0 < side < 1 << 31 for side in sides)


def take(value: dict[str, Any], key: str, kind: type | tuple[type, ...], *, where: str) -> Any:
    """Member ``key`` of a parsed object, checked for its type.

    Raises:
        FormatError: ``bad-field``.
    """
    found = value.get(key)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is int):
        wanted = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise FormatError("bad-field", f"field {key!r} is {found!r:.80}, expected {wanted}", where=where)
    return found


def take_digest(value: dict[str, Any], key: str, *, where: str) -> str:
    """Member ``key``, which must be a digest.

    Raises:
        FormatError: ``bad-field``.
    """
    found: str = take(value, key, str, where=where)
    if not is_digest(found):
        raise FormatError("bad-field", f"field {key!r} is {found!r:.80}, expected a digest", where=where)
    return found


def check_format(value: dict[str, Any], supported: int, *, where: str, known: tuple[str, ...] = ()) -> None:
    """Refuse objects of a later format version, and those that require what this reader does not know.

    A later writer may add members that a reader can do without; what it cannot do without stands in ``requires``.

    Args:
        known: names of features that the caller knows how to read.

    Raises:
        FormatError: ``unsupported-version``, ``unsupported-feature`` or ``bad-field``.
    """
    found = take(value, "format", int, where=where)
    if not 1 <= found <= supported:
        raise FormatError(
            "unsupported-version",
            f"it has format version {found!r:.80}, this hapistore reads 1 to {supported}; install a newer one",
            where=where,
        )
    required = take(value, "requires", list, where=where) if "requires" in value else []
    unknown = [name for name in required if name not in known]
    if unknown:
        raise FormatError(
            "unsupported-feature",
            f"it requires {unknown!r:.80}, which this hapistore does not know; install a newer one",
            where=where,
        )
