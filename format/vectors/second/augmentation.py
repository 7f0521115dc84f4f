"""Variants of an image: what is drawn of a record, and what becomes of levels (recipes.md)."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from .members import integer
from .refused import Refused, check

MEMBERS = {"seed", "variant", "crop_percent", "flip", "colour_percent"}
# What vectors are drawn for: sizes of images, whose digests are those of the texts "0", "1", …
SIZES = ((300, 300), (500, 375), (375, 500), (1, 1), (2, 1000), (32767, 32767), (8, 5), (224, 224))
PIXELS = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 1], [10, 20, 240], [128, 127, 126]]

Box = tuple[int, int, int, int]


def check_augmentation(value: Any) -> None:
    if not isinstance(value, dict):
        raise Refused("bad-field", "augmentation is no object")
    check(set(value) <= MEMBERS, "unsupported-feature", f"augmentation members {sorted(set(value) - MEMBERS)}")
    check(set(value) == MEMBERS, "bad-field", f"augmentation lacks {sorted(MEMBERS - set(value))}")
    integer(value, "seed", least=0, most=2**32 - 1)
    integer(value, "variant", least=0, most=65535)
    check(isinstance(value["flip"], bool), "bad-field", "flip is not true or false")
    colours = _integers(value["colour_percent"], 3, least=0)
    crop = value["crop_percent"]
    if crop is not None:
        least, most = _integers(crop, 2, least=1)
        check(least <= most, "bad-field", "crop_percent is the wrong way round")
    check(crop is not None or value["flip"] or any(colours), "bad-field", "nothing is changed")


def _integers(values: Any, count: int, *, least: int) -> list[int]:
    check(isinstance(values, list) and len(values) == count, "bad-field", f"{values} are not {count}")
    return [integer({"percent": value}, "percent", least=least, most=100) for value in values]


def draws(augmentation: dict[str, Any]) -> list[dict[str, Any]]:
    """What is drawn for the sizes above, and what the pixels above become."""
    found = []
    for number, (width, height) in enumerate(SIZES):
        digest = hashlib.sha256(str(number).encode()).digest()
        words = _words(augmentation, digest)
        factors = [_factor(w, percent) for w, percent in zip(words[5:], augmentation["colour_percent"], strict=True)]
        found.append(
            {
                "digest": digest.hex(),
                "size": [width, height],
                "box": augmentation["crop_percent"] and list(_box(augmentation["crop_percent"], words, width, height)),
                "flip": augmentation["flip"] and words[4] >= 2**31,
                "factors": factors,
                "pixels": PIXELS,
                "recoloured": recolour(PIXELS, factors),
            }
        )
    return found


def _words(augmentation: dict[str, Any], digest: bytes) -> list[int]:
    said = b"augment\0" + b"".join(augmentation[name].to_bytes(8, "little") for name in ("seed", "variant"))
    drawn = hashlib.sha256(said + digest).digest()
    return [int.from_bytes(drawn[start : start + 4], "little") for start in range(0, 32, 4)]


def _box(crop: list[int], words: list[int], width: int, height: int) -> Box:
    least, most = crop
    part = float(least * 2**32 + (most - least) * words[0]) / float(100 * 2**32)
    area = float(width * height) * part
    ratio = 1.0 + (1.0 / 3.0) * (float(words[1] % 2**31) / 2.0**31)
    sides = math.sqrt(area * ratio), math.sqrt(area / ratio)
    if words[1] < 2**31:
        sides = sides[::-1]
    w, h = (min(max(math.floor(side + 0.5), 1), most) for side, most in zip(sides, (width, height), strict=True))
    return words[2] * (width - w + 1) // 2**32, words[3] * (height - h + 1) // 2**32, w, h


def _factor(word: int, percent: int) -> int:
    reach = percent * 2**16 // 100
    return 2**16 - reach + word * (2 * reach + 1) // 2**32


def recolour(pixels: list[list[int]], factors: list[int]) -> list[list[int]]:
    """Levels [R, G, B] of each pixel of an image."""
    brightness, contrast, saturation = factors
    lit = [[_move(v, 0, brightness) for v in pixel] for pixel in pixels]
    mean = (sum(map(_grey, lit)) + len(lit) // 2) // len(lit)
    toned = [[_move(v, mean, contrast) for v in pixel] for pixel in lit]
    return [[_move(v, _grey(pixel), saturation) for v in pixel] for pixel in toned]


def _grey(pixel: list[int]) -> int:
    red, green, blue = pixel
    return (19595 * red + 38470 * green + 7471 * blue + 2**15) // 2**16


def _move(level: int, centre: int, factor: int) -> int:
    return min(max(centre + ((level - centre) * factor + 2**15) // 2**16, 0), 255)
