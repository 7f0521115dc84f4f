"""Importing the optional packages that backbones come from."""

from __future__ import annotations

import importlib
from types import ModuleType

from ..errors import UsageError
from .prefix import one_line


def import_package(name: str, *, wanted_for: str, install: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        name: of the module, possibly dotted.
        wanted_for: what was asked for, as said in the message.
        install: the command that installs it.

    Raises:
        UsageError: it is not installed, or is and cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == name.partition(".")[0]:
            raise UsageError(f"{wanted_for} needs {name}, which is not installed: {install}") from error
        raise _broken(name, wanted_for, error) from error
    except Exception as error:  # torchvision built for another torch raises RuntimeError, for one
        raise _broken(name, wanted_for, error) from error


def _broken(name: str, wanted_for: str, error: Exception) -> UsageError:
    return UsageError(
        f"{wanted_for} needs {name}, which is installed but cannot be imported ({one_line(error)}); "
        "install builds of it and of torch that belong together"
    )
