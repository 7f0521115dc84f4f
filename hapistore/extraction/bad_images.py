"""An image that gets no features, and costs its row only."""

from __future__ import annotations

from typing import NamedTuple


class BadImage(NamedTuple):
    """Stands in the stream of pixels where an image's would, and says why there are none.

    Attributes:
        reason: a code, as feature shards keep it; detail: the same in words.
    """

    reason: str
    detail: str
