"""The ``hapistore`` command, one file a verb."""

from .main import main

__all__ = ["main"]
