"""Stores around stores, for tests and benchmarks: they count, slow down or break, and compose."""

from .counting import CountingStore, Counts
from .faults import FaultRates, FaultyStore
from .link import LinkStore

__all__ = ["CountingStore", "Counts", "FaultRates", "FaultyStore", "LinkStore"]
