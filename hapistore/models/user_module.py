"""A user's own network as a backbone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

from ..errors import UsageError
from ..images import Preprocess
from .backbone import Backbone
from .prefix import frozen_copy
from .program import program_digest


def backbone_from_module(
    module: nn.Module, *, name: str, preprocess: Preprocess, program: str | None = None
) -> Backbone:
    """Make a backbone of any network, with the single cut ``output``.

    The module is copied as it is now; it is left untouched, and later training of it changes nothing here.

    Args:
        module: normalised float32 [n, 3, height, width] to one tensor [n, ...].
        name: the architecture's name in recipes.
        preprocess: what turns encoded bytes into the module's input.
        program: text that says which code this is ("mynet 3"), to be changed whenever the code changes. Without
            it, the graph that torch.export finds is hashed, so that other code under the same name is noticed.

    Raises:
        UsageError: the module cannot be copied, or torch.export cannot take it and no ``program`` was given.
    """
    if not name or Path(name).is_absolute():
        raise UsageError(f"name is {name!r}, expected the architecture's name, such as 'mynet'")
    snapshot = frozen_copy(module, name)
    if program is None:
        digest = program_digest(snapshot, preprocess.crop_px, name)
    else:
        # Marked, so that no text can pass for a graph.
        digest = hashlib.sha256(f"program text\n{program}".encode()).hexdigest()
    return Backbone(
        architecture=name,
        weights_name=f"weights of the module {type(module).__name__}",
        preprocess=preprocess,
        cuts={"output": lambda: snapshot},
        default_cut="output",
        program=digest,
    )
