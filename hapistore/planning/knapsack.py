"""Filling a capacity as far as whole pieces of given sizes allow: a bounded subset sum, solved exactly.

Sums that can be reached are the bits of one whole number: adding a piece is a shift and an ``or``, at memory speed.
Equal sizes are one. First a near-empty part is left at the end of the capacity, all else filled evenly, and only that
part is solved: with several sizes it can nearly always be filled to the last unit, which nothing can beat. Where it
cannot, the whole capacity is solved, or what is to be left out, if that is less.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

# Solve this many of the largest pieces first, then so many times as much.
_WINDOW_PIECES, _WIDER = 8, 8


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
    """Every count of the one there is less of, an even share first, and the most of the other beside it."""
    few, many = sorted((0, 1), key=lambda place: limits[place])
    even = limits[few] * capacity // (sizes[0] * limits[0] + sizes[1] * limits[1])
    best, counts = -1, [0, 0]
    for step in range(2 * limits[few] + 2):
        count = even + (-(step // 2) if step % 2 else step // 2)
        left = capacity - count * sizes[few]
        if not 0 <= count <= limits[few] or left < 0:
            continue
        other = min(limits[many], left // sizes[many])
        filled = capacity - left + other * sizes[many]
        if filled > best:
            best, counts[few], counts[many] = filled, count, other
            if filled == capacity:
                break
    return counts


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
