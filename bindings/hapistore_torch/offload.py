"""A network, a dataset and a link in; what trains fastest out."""

from __future__ import annotations

from typing import Any

from torch import nn

from hapistore import ImageView, ObjectStore, PrepareOptions, View, prepare_training


def offload(
    model: nn.Module,
    store: ObjectStore,
    dataset: str,
    *,
    freeze_until: str | None = None,
    link: str | float | None = None,
    epochs: int = 1,
    **options: Any,
) -> tuple[nn.Module, View | ImageView]:
    """Cut a network where training takes the least time, and have its features.

    The tail's parameters are the network's own: training the tail trains the network. Where shipping images is best,
    the tail is the whole network from the pixels on, and the view is one of images; the same loop trains it::

        tail, view = offload(model, store, "pets", freeze_until="layer4", link="1Gbit/s", epochs=30)
        for inputs, labels in FeaturePipe(view, subset="train", batch_size=256):
            loss = criterion(tail(inputs), labels)

    The log (``hapistore``, level INFO) says in one line what was chosen and what that saves.

    Args:
        model: normalised float32 [n, 3, height, width] to anything; frozen up to ``freeze_until`` afterwards.
        dataset: ``pets`` for the newest version, ``pets@7`` for one.
        freeze_until: path of a module, or name of a cut: all up to and including it is frozen. None: what takes no
            gradients already.
        link: ``1Gbit/s``, or bytes a second; None: measured.
        epochs: how many are trained.
        options: others of ``hapistore.PrepareOptions``, such as ``batch_size``, ``codec``, ``preprocess``, ``cut``.

    Returns:
        the tail, and the view it is trained on.

    Raises:
        UsageError: the network cannot be traced, or there is no such module, cut, dataset or option.
        HapistoreError: the store cannot be read or written to, or no image can be decoded.
    """
    prepared = prepare_training(
        model,
        store,
        dataset,
        PrepareOptions(freeze_until=freeze_until, link=link, epochs=epochs, **options),
    )
    return prepared.tail, prepared.view
