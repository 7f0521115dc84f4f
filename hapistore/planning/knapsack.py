"""Filling a capacity as far as whole pieces of given sizes allow: a bounded subset sum, solved exactly.

Equal sizes are one. With two, every count of one is tried, with three every pair of two, where there are not too many.
Else all are filled evenly first, and then the counts of three are moved so that the capacity is full to the last unit,
which nothing can beat: what is left beside two of them has to be a multiple of the third, and among hundreds of counts
of each it nearly always is.

Where it is not, sums that can be reached are the bits of one whole number: adding a piece is a shift and an ``or``,
at memory speed. First a near-empty part is left at the end of the capacity and only that is solved; then the whole
capacity is, or what is to be left out, if that is less.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np

# Solve this many of the largest pieces first, then so many times as much.
_WINDOW_PIECES, _WIDER = 8, 8
# So far from an even share the counts of two sizes are tried, and so many choices of three sizes.
_REACH, _CHOICES = 256, 3
# So many pairs of counts are tried for three sizes where that is all there are.
_MOST_TRIED = 1 << 13


def fill(sizes: Sequence[int], limits: Sequence[int], capacity: int) -> list[int]:
    """How many pieces of each size, up to its limit, fill the capacity best.

    Args:
        sizes: at least 1 each, in any unit; limits: pieces there are of each; capacity: in that unit, at least 0.

    Returns:
        counts that maximise ``sum(count * size)`` within the capacity; no other counts give more.
    """
    together: dict[int, int] = {}
    for size, limit in zip(sizes, limits, strict=True):
        together[size] = together.get(size, 0) + min(limit, capacity // size)
    together = {size: limit for size, limit in together.items() if limit}
    counts = dict(zip(together, _fill_distinct(list(together), list(together.values()), capacity), strict=True))
    return _shared_out(sizes, [min(limit, capacity // size) for size, limit in zip(sizes, limits, strict=True)], counts)


def _fill_distinct(sizes: list[int], limits: list[int], capacity: int) -> list[int]:
    total = sum(size * limit for size, limit in zip(sizes, limits, strict=True))
    if total <= capacity:
        return limits
    if len(sizes) == 2:
        return _fill_two(sizes, limits, capacity)
    unit = gcd(*sizes)
    sizes, capacity, total = [size // unit for size in sizes], capacity // unit, total // unit
    to_leave_out = total - capacity
    if len(sizes) > 2:
        full = _fill_three(sizes, limits, capacity) if len(sizes) == 3 else None
        full = full or _fill_to_the_last(sizes, limits, capacity, total)
        if full:
            return full
    whole = min(capacity, to_leave_out + max(sizes))
    window = _WINDOW_PIECES * max(sizes)
    while window < whole and len(sizes) > 1:
        # Everything filled evenly but for the window; rounding down makes the window a little larger.
        share = max(0, capacity - window)
        base = [limit * share // total for limit in limits]
        left = capacity - sum(size * count for size, count in zip(sizes, base, strict=True))
        found, filled = _best_sum(sizes, [limit - count for limit, count in zip(limits, base, strict=True)], left)
        if filled == left:
            return [count + more for count, more in zip(base, found, strict=True)]
        window *= _WIDER
    if capacity <= to_leave_out + max(sizes):
        return _best_sum(sizes, limits, capacity)[0]
    left_out = _least_cover(sizes, limits, to_leave_out)
    return [limit - count for limit, count in zip(limits, left_out, strict=True)]


def _fill_two(sizes: list[int], limits: list[int], capacity: int) -> list[int]:
    """Every count of the one there is less of, and the most of the other beside it; the nearest to an even share."""
    few, many = sorted((0, 1), key=lambda place: limits[place])
    even = limits[few] * capacity // (sizes[0] * limits[0] + sizes[1] * limits[1])
    counts = np.arange(min(limits[few], capacity // sizes[few]) + 1)
    others = np.minimum(limits[many], (capacity - counts * sizes[few]) // sizes[many])
    filled = counts * sizes[few] + others * sizes[many]
    best = np.flatnonzero(filled == filled.max())
    place = best[np.abs(best - even).argmin()]
    found = [0, 0]
    found[few], found[many] = int(counts[place]), int(others[place])
    return found


def _fill_three(sizes: list[int], limits: list[int], capacity: int) -> list[int] | None:
    """Every count of two, and the most of the third beside them; None where these are too many to try.

    Of equally good ones, those nearest to an even share.
    """
    to_leave_out = sum(size * limit for size, limit in zip(sizes, limits, strict=True)) - capacity
    ranges = [
        np.arange(max(0, limit + -to_leave_out // size), min(limit, capacity // size) + 1)
        for size, limit in zip(sizes, limits, strict=True)
    ]
    one, other, third = sorted(range(3), key=lambda place: len(ranges[place]))
    if len(ranges[one]) * len(ranges[other]) > _MOST_TRIED:
        return None
    left = capacity - ranges[one][:, None] * sizes[one] - ranges[other] * sizes[other]
    thirds = np.minimum(limits[third], left // sizes[third])
    slack = np.where(left < 0, capacity + 1, left - thirds * sizes[third])
    rows, columns = np.nonzero(slack == slack.min())
    even = [limit * capacity // (capacity + to_leave_out) for limit in limits]
    unevenness = np.abs(ranges[one][rows] - even[one]) + np.abs(ranges[other][columns] - even[other])
    row, column = rows[unevenness.argmin()], columns[unevenness.argmin()]
    counts = [0, 0, 0]
    counts[one], counts[other] = int(ranges[one][row]), int(ranges[other][column])
    counts[third] = int(thirds[row, column])
    return counts


def _fill_to_the_last(sizes: list[int], limits: list[int], capacity: int, total: int) -> list[int] | None:
    """Counts that fill the capacity to the last unit, near an even share; None where none are found."""
    counts = [limit * capacity // total for limit in limits]
    left = capacity - sum(size * count for size, count in zip(sizes, counts, strict=True))
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        if counts[place] < limits[place] and sizes[place] <= left:
            counts[place] += 1
            left -= sizes[place]
    by_limit = sorted(range(len(sizes)), key=lambda place: -limits[place])
    # Three of the three, or the first of any more: each attempt with another one whose multiples are to be met.
    for first in range(3) if len(sizes) == 3 else range(min(_CHOICES, len(sizes) - 2)):
        third, *two = [by_limit[(first + place) % len(sizes)] for place in range(3)]
        moved = _move_three(sizes, limits, counts, left, third, two)
        if moved:
            return [moved.get(place, count) for place, count in enumerate(counts)]
    return None


def _move_three(
    sizes: list[int], limits: list[int], counts: list[int], left: int, third: int, two: list[int]
) -> dict[int, int]:
    """Other counts of three sizes that fill what is left too; none where none are found."""
    near = [np.arange(max(0, counts[place] - _REACH), min(limits[place], counts[place] + _REACH) + 1) for place in two]
    room = left + sum(sizes[place] * counts[place] for place in (third, *two))
    size = sizes[third]
    wanted = (room - near[0] * sizes[two[0]]) % size
    given = near[1] * sizes[two[1]] % size
    order = given.argsort()
    matching = order[np.minimum(given[order].searchsorted(wanted), len(order) - 1)]
    thirds = (room - near[0] * sizes[two[0]] - near[1][matching] * sizes[two[1]]) // size
    usable = np.flatnonzero((given[matching] == wanted) & (thirds >= 0) & (thirds <= limits[third]))
    if not len(usable):
        return {}
    place = usable[np.abs(near[0][usable] - counts[two[0]]).argmin()]
    return {two[0]: int(near[0][place]), two[1]: int(near[1][matching[place]]), third: int(thirds[place])}


def _best_sum(sizes: list[int], limits: list[int], capacity: int) -> tuple[list[int], int]:
    """Counts whose sum is the largest within the capacity, and that sum."""
    reached, steps = _reachable(sizes, limits, capacity, goal=capacity)
    best = reached.bit_length() - 1
    return _traced(sizes, steps, best), best


def _least_cover(sizes: list[int], limits: list[int], at_least: int) -> list[int]:
    """Counts whose sum is the smallest that is not below ``at_least``."""
    # The smallest cover exceeds it by less than one piece: without its last piece it would be below.
    reached, steps = _reachable(sizes, limits, at_least + max(sizes), goal=at_least)
    above = reached >> at_least
    return _traced(sizes, steps, at_least + (above & -above).bit_length() - 1)


def _reachable(sizes: list[int], limits: list[int], capacity: int, goal: int) -> tuple[int, list[tuple[int, int, int]]]:
    """Bits of all sums up to the capacity, and (place, pieces added, bits before) of each step; ends at the goal."""
    reached, steps = 1, []
    for place, (size, limit) in enumerate(zip(sizes, limits, strict=True)):
        left, pieces = min(limit, capacity // size), 1
        while left:  # 1, 2, 4, … and the rest: every count up to the limit is a sum of some
            pieces = min(pieces, left)
            steps.append((place, pieces, reached))
            low = reached & ((1 << max(0, capacity - pieces * size + 1)) - 1)
            reached |= low << pieces * size
            left, pieces = left - pieces, pieces * 2
        if reached >> goal & 1:
            break
    return reached, steps


def _traced(sizes: list[int], steps: list[tuple[int, int, int]], total: int) -> list[int]:
    counts = [0] * len(sizes)
    for place, pieces, before in reversed(steps):
        if not before >> total & 1:
            counts[place] += pieces
            total -= pieces * sizes[place]
    return counts


def _shared_out(sizes: Sequence[int], limits: Sequence[int], counts: dict[int, int]) -> list[int]:
    """Each size's pieces, shared among its places in proportion to their limits."""
    pieces = dict(counts)
    room: dict[int, int] = {}
    for size, limit in zip(sizes, limits, strict=True):
        room[size] = room.get(size, 0) + limit
    given = []
    for size, limit in zip(sizes, limits, strict=True):
        # What is left, by the room that is left: rounded up, so that none is left over at the end.
        share = -(-pieces.get(size, 0) * limit // room[size]) if limit else 0
        given.append(min(limit, share))
        pieces[size] = pieces.get(size, 0) - given[-1]
        room[size] -= limit
    return given
