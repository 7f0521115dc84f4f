"""Which of a network's many cuts are worth measuring: that takes seconds each, and most are beaten by a neighbour."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

# Parts of the whole prefix's time: at most so much lies between neighbours that are measured, and cuts of one size that
# are nearer to each other than this count as one, the deeper.
_FAR, _NEAR = 0.125, 0.02
# Sizes count as one up to here: a class token makes 197 rows of 196.
_ALIKE = 1.1


def worth_measuring(sizes: Sequence[float], seconds: Sequence[float]) -> list[int]:
    """Places in the lists, ascending.

    What a cut that sends more than an earlier one has ahead of that is only what it spares the compute tier. So of all
    cuts those are taken that send the least up to there: the first and the last of each size, and where these are far
    apart in time, some between them. The last cut of all is always taken.

    Args:
        sizes: bytes an image by cut, ascending with depth; up to the freeze point, at least one.
        seconds: time of an image up to each cut, by any measure that all share.
    """
    lowest = list(itertools.accumulate(sizes, min))
    least = [place for place, size in enumerate(sizes) if size <= _ALIKE * lowest[place]]
    last = {lowest[place]: place for place in least}
    first = {lowest[place]: place for place in reversed(least)}
    chosen = {*last.values(), len(sizes) - 1}
    chosen |= {place for size, place in first.items() if seconds[last[size]] - seconds[place] > _NEAR * seconds[-1]}
    reached, far_s, near_s = 0.0, _FAR * seconds[-1], _NEAR * seconds[-1]
    for place, following in itertools.pairwise(least):
        next_s = seconds[min(one for one in chosen if one > place)]
        if place in chosen or (seconds[following] - reached > far_s and next_s - seconds[place] > near_s):
            chosen.add(place)
            reached = seconds[place]
    return sorted(chosen)
