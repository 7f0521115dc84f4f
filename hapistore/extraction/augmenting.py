"""What variants of every image an extraction stores beside the images as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hapistore_format import Augmentation, Recipe

from ..errors import UsageError

DEFAULT_CROP_PERCENT = (35, 100)
DEFAULT_COLOUR_PERCENT = 20
MOST_VARIANTS = 1024


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """Seeded variants of each image. All but ``variants`` decides values, so it is part of their recipes.

    Attributes:
        variants: how many; more of them later are added to those that are there.
        crop_percent: least and most of an image's area in a random crop; None: the usual crop.
        flip: mirror one half of them, at random.
        colour_percent: how far brightness, contrast and saturation may move either way.
        seed: of all draws.

    Raises:
        UsageError: a value is none of these, or nothing is asked for.
    """

    variants: int
    crop_percent: tuple[int, int] | None = DEFAULT_CROP_PERCENT
    flip: bool = True
    colour_percent: tuple[int, int, int] = (DEFAULT_COLOUR_PERCENT,) * 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.variants <= MOST_VARIANTS:
            raise UsageError(f"{self.variants} variants of an image, expected 1 to {MOST_VARIANTS}")
        try:
            self.number(0)
        except ValueError as error:
            raise UsageError(f"augmentation: {error}") from error

    def number(self, variant: int) -> Augmentation:
        """What variant ``variant`` is."""
        return Augmentation(
            seed=self.seed,
            variant=variant,
            crop_percent=self.crop_percent,
            flip=self.flip,
            colour_percent=self.colour_percent,
        )

    def recipes(self, plain: Recipe) -> tuple[Recipe, ...]:
        """A recipe for each variant."""
        return tuple(replace(plain, augmentation=self.number(variant)) for variant in range(self.variants))


def parse_augment(text: str, *, variants: int, seed: int = 0) -> AugmentOptions:
    """Options from ``crop,flip,colour``: each alone or with others, ``crop:8-100`` and ``colour:40`` or ``40-40-0``.

    Raises:
        UsageError: it is none of these; the message says what is.
    """
    found: dict[str, list[int]] = {}
    for part in text.split(","):
        name, _, numbers = part.strip().partition(":")
        if name not in ("crop", "flip", "colour") or name in found:
            raise _unreadable(text, f"{part.strip()!r} is not one of crop, flip and colour, each once")
        try:
            found[name] = [int(number) for number in numbers.split("-")] if numbers else []
        except ValueError as error:
            raise _unreadable(text, f"{numbers!r} are no percentages") from error
    crop, colour = found.get("crop"), found.get("colour")
    if found.get("flip") or (crop and len(crop) != 2) or (colour and len(colour) not in (1, 3)):
        raise _unreadable(text, "crop takes two percentages, colour one or three, flip none")
    levels = [DEFAULT_COLOUR_PERCENT] if colour == [] else colour or [0]
    brightness, contrast, saturation = levels * 3 if len(levels) == 1 else levels
    return AugmentOptions(
        variants=variants,
        crop_percent=(crop[0], crop[1]) if crop else DEFAULT_CROP_PERCENT if crop == [] else None,
        flip="flip" in found,
        colour_percent=(brightness, contrast, saturation),
        seed=seed,
    )


def _unreadable(text: str, why: str) -> UsageError:
    return UsageError(f"augmentation {text!r}: {why}; expected such as crop,flip or crop:8-100,flip,colour:40")
