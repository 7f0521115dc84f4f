"""Where a reader stands, as a few plain numbers that say what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import UsageError

_FORMAT = 1
_NUMBERS = ("epoch", "position", "skip")
_KEYS = {"format", "view", "order", *_NUMBERS}


class Place(NamedTuple):
    """An epoch, the rows of it that all ranks have read, and how many batches of one loader worker's share besides."""

    epoch: int
    position: int
    skip: int


class Progress:
    """Epochs and positions of whoever iterates. A state is good for any number of ranks and any size of batches.

    Args:
        view, order: what the positions are of; another reader's state is refused.
    """

    def __init__(self, *, view: Mapping[str, Any], order: Mapping[str, Any]) -> None:
        self._of = {"view": dict(view), "order": dict(order)}
        self._at = Place(0, 0, 0)
        self._begun = False

    @property
    def of(self) -> dict[str, Any]:
        """The view and the order that positions are of."""
        return self._of

    def new(self) -> Progress:
        """One of the same order, at its beginning."""
        return Progress(**self._of)

    def begin(self, epoch: int | None = None) -> Place:
        """Where to begin: what was loaded is gone on with, else comes the next epoch.

        Args:
            epoch: read this one; where a state of another was loaded, from its beginning.
        """
        self._at = self._next(epoch)
        self._begun = True
        return self._at

    def read(self, position: int) -> None:
        """So many rows of the epoch have been handed out, to all ranks."""
        self._at = self._at._replace(position=position)

    def read_apart(self) -> None:
        """One more batch since ``begin`` by this one of several loader workers, which knows nothing of the others."""
        self._at = self._at._replace(skip=self._at.skip + 1)

    def state_dict(self, epoch: int | None = None) -> dict[str, Any]:
        """Plain data for ``load_state_dict``; before the first ``begin`` of what that would give."""
        at = self._at if self._begun else self._next(epoch)
        return {"format": _FORMAT, **self._of, **at._asdict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand there.

        Raises:
            UsageError: it is no state, of a later format, or of another view or order; nothing has changed.
        """
        if not isinstance(state, Mapping) or not set(state) >= _KEYS:
            raise UsageError(f"{state!r:.80} is no state of a reader; expected what its state_dict() gave")
        if state["format"] != _FORMAT:
            raise UsageError(f"the state has format {state['format']!r:.20}, and this version reads {_FORMAT} only")
        for what, mine in self._of.items():
            if state[what] != mine:
                raise UsageError(f"the state is of another {what}: {_difference(state[what], mine)}")
        numbers = {name: state[name] for name in _NUMBERS}
        if any(type(value) is not int or value < 0 for value in numbers.values()):
            raise UsageError(f"the state has {numbers!r:.120}, expected whole numbers")
        self._at, self._begun = Place(**numbers), False

    @property
    def epoch(self) -> int:
        """The epoch it stands in."""
        return self._at.epoch

    def _next(self, epoch: int | None) -> Place:
        ended = self._at.position >= self._of["order"]["rows"]
        if not self._begun and (epoch == self._at.epoch or (epoch is None and not ended)):
            return self._at
        return Place(self._at.epoch + 1 if epoch is None else epoch, 0, 0)


def _difference(theirs: Any, mine: Mapping[str, Any]) -> str:
    if not isinstance(theirs, Mapping):
        return f"{theirs!r:.80}"
    names = [name for name in {**mine, **theirs} if theirs.get(name) != mine.get(name)]
    return ", ".join(f"{name} is {theirs.get(name)!r:.80} there and {mine.get(name)!r:.80} here" for name in names)
