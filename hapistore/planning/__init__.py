"""Decisions as pure functions over plain data: no torch, no I/O."""

from .batches import BatchGrowth

__all__ = ["BatchGrowth"]
