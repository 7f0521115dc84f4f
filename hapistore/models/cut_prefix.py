"""The prefix of a cut as what extraction runs: pixels in, features out, named by what it computes."""

from __future__ import annotations

from ..images import Preprocess
from .cutting import TracedNetwork
from .prefix import Prefix
from .program import program_digest
from .tail import Tail


def prefix_and_tail(network: TracedNetwork, at: int | str, *, preprocess: Preprocess, name: str) -> tuple[Prefix, Tail]:
    """Cut a network for images as they are stored.

    Args:
        at: index or name of a cut.
        preprocess: what turns encoded bytes into the network's input, of the size that it was traced with.
        name: the architecture's name in recipes.

    Raises:
        UsageError: as `TracedNetwork.cut`; or torch.export cannot take the prefix.
    """
    module, tail = network.cut(at)
    chosen = next(cut for cut in network.cuts if at in (cut.index, cut.name))
    return (
        Prefix(
            architecture=name,
            cut=chosen.name,
            preprocess=preprocess,
            weights_name=f"weights of the module {type(network.model).__name__}",
            network=module,
            program=program_digest(module, network.image_px, name),
        ),
        tail,
    )
