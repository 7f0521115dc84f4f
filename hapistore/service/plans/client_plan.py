"""Asking a server for a plan: this side's half of the measurements, and the plan that comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...catalog import images_name, resolve_version
from ...errors import HapistoreError, UsageError
from ...planning import SHIP_IMAGES, ModelProfile, SplitPlan, plan_from_json, profile_from_json, profile_to_json
from ...read import KEPT_BYTES
from ...stores import ObjectStore, measure_link
from ...units import parse_rate

if TYPE_CHECKING:
    from ...images import Preprocess
    from ...models import TracedNetwork

Call = Callable[[str, dict[str, Any]], dict[str, Any]]
"""An action of the server's by name: a JSON object there, a JSON object back."""
OnProgress = Callable[[int, int], None]
Module = Any
"""A `torch.nn.Module`. Its name is not imported: clients that hand over no network need no torch."""


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """How a network is to be trained over a server's features.

    Attributes:
        backbone: the known architecture that the server measures, where the network is handed over as a module.
        weights: that the server measures with: ``random``, or ``pretrained`` for what features take when compressed.
        freeze_until: path of a module, or name of a cut: all up to and including it is frozen. None: what takes no
            gradients already; of a network given by name, nothing.
        freeze_all: freeze all but the last layer that has weights.
        cut: index or name of the cut to take in place of the planned one; 0 ships the images.
        policy: as in `plan_split`.
        link: what training gets of the link to the server: ``1Gbit/s``, or bytes a second; None: measured.
        link_low, link_delay: of a link that is given: the least, in bytes a second; and seconds to an answer's begin.
        epochs, batch_size, augmented: of the training.
        codec, precision: of the features.
        cache_bytes: what readers keep beside the training between epochs.
        measure_here: measure what tails take on this machine; else the server's own times stand for it.
        sample: images to measure with.
    """

    backbone: str | None = None
    weights: str = "random"
    freeze_until: str | None = None
    freeze_all: bool = False
    cut: int | str | None = None
    policy: str = "cost"
    link: str | float | None = None
    link_low: float | None = None
    link_delay: float = 0.0
    epochs: int = 1
    batch_size: int = 256
    augmented: bool = False
    codec: str = "u8c+zstd"
    precision: str = "f32"
    cache_bytes: float = field(default=KEPT_BYTES)
    measure_here: bool = True
    sample: int = 16


def plan(
    call: Call,
    dataset: str,
    model: Module | str,
    options: PlanOptions | None = None,
    *,
    store: ObjectStore | None = None,
    on_progress: OnProgress | None = None,
) -> SplitPlan:
    """Find where to cut a network, between a server and this machine.

    The server measures prefixes, and this machine, unless told otherwise, the tails of the same cuts. That takes a
    minute or two; the server keeps what it has measured.

    Args:
        call: carries out an action of the server's.
        dataset: ``pets`` or ``pets@7``.
        model: the network, or a known one's name. ``freeze_until`` makes parameters untrainable, nothing else of it
            changes.
        store: the server's, to measure the link and to take images to measure with.
        on_progress: called with (tails run, tails to run in all).

    Raises:
        UsageError: the server does not know the network; the two sides' networks differ; or there is no such module,
            cut, dataset or policy.
        HapistoreError: the server or the store cannot do their part.
    """
    options = options or PlanOptions()
    label = dataset if store is None else resolve_version(store, dataset).label
    mine = _Mine(model, options) if options.measure_here or not isinstance(model, str) else None
    body = {**_told(model, options, mine), "dataset": label, **_link(store, label, options)}
    first = call("plan", body)
    if not options.measure_here:
        return _plan_of(first)
    assert mine is not None
    if store is None:
        raise UsageError("measuring here needs the dataset's images: give the store, or measure_here=False")
    here = mine.tails(_profile_of(first), store, label, on_progress)
    return _plan_of(call("plan", {**body, "profile": profile_to_json(here)}))


def _told(model: Module | str, options: PlanOptions, mine: _Mine | None) -> dict[str, Any]:
    """What the server must know of the network and the training."""
    backbone = options.backbone or (model if isinstance(model, str) else None)
    if backbone is None:
        raise UsageError("say which known network this module is, such as backbone='torchvision/resnet50'")
    frozen = {"freeze_until": options.freeze_until, "freeze_all": options.freeze_all}
    if mine is not None:  # by the cut that it comes to: parameters may have been frozen before
        frozen = {"freeze_until": mine.freeze_point, "freeze_all": False}
    told = {
        "backbone": backbone,
        "weights": options.weights,
        **frozen,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "augmented": options.augmented,
        "codec": options.codec,
        "precision": options.precision,
        "policy": options.policy,
        "cut": options.cut,
        "cache_bytes": options.cache_bytes,
    }
    return {key: value for key, value in told.items() if value is not None}


def _link(store: ObjectStore | None, label: str, options: PlanOptions) -> dict[str, float]:
    """What was said of the link, or is measured now."""
    given = options.link
    if isinstance(given, str):
        try:
            given = parse_rate(given)
        except ValueError as error:
            raise UsageError(f"link: {error}") from None
    if given is not None:
        low = {} if options.link_low is None else {"link_low": options.link_low}
        return {"link": given, "link_delay": options.link_delay, **low}
    if store is None:
        raise UsageError("say how fast the link is, such as link='1Gbit/s', or give the store to measure it with")
    shards = resolve_version(store, label).shards
    found = measure_link(store, [images_name(shard.images, shard.layout) for shard in shards])
    return {"link": found.bytes_per_s, "link_low": found.low_bytes_per_s, "link_delay": found.delay_s}


class _Mine:
    """The network on this side. torch is loaded here, and not before."""

    def __init__(self, model: Module | str, options: PlanOptions) -> None:
        from ...models import load_backbone, preprocess_for, trace

        self._options = options
        self._preprocess: Preprocess
        if isinstance(model, str):
            known = load_backbone(model, weights="random")  # times do not depend on them
            self._preprocess, model = known.preprocess, known.whole()
        else:
            self._preprocess = preprocess_for(model)
        self._network: TracedNetwork = trace(model, self._preprocess.crop_px)
        if options.freeze_until is not None:
            self._network.freeze(options.freeze_until)
        if options.freeze_all:
            self._network.freeze(self._network.cuts[-1].name)

    @property
    def freeze_point(self) -> str | None:
        """Name of the last cut before anything trained; None where there is none."""
        index = self._network.freeze_index
        return self._network.cuts[index - 1].name if index else None

    def tails(
        self, theirs: ModelProfile, store: ObjectStore, label: str, on_progress: OnProgress | None
    ) -> ModelProfile:
        """What the tails of the server's cuts take here.

        Raises:
            UsageError: the server's network has other cuts than this one.
        """
        from ...extraction.cut_profiles import ProfileOptions, profile_tails, sample_images

        ours = {SHIP_IMAGES: "images", **{cut.index: cut.name for cut in self._network.cuts}}
        for cut in theirs.candidates:
            if ours.get(cut.index) != cut.name or cut.index > self._network.freeze_index:
                raise UsageError(
                    f"cut {cut.index} is {cut.name} at the server and {ours.get(cut.index, 'none')} here; the network "
                    "is no longer the one it is named after, or another version of its package is installed"
                )
        sample = sample_images(store, resolve_version(store, label), self._preprocess, count=self._options.sample)
        measure = ProfileOptions(batch_size=self._options.batch_size, codecs=(self._options.codec,))
        cuts = [cut.index for cut in theirs.candidates]
        name = type(self._network.model).__name__
        return profile_tails(self._network, sample, self._preprocess, measure, cuts, name=name, on_progress=on_progress)


def _plan_of(answer: Mapping[str, Any]) -> SplitPlan:
    try:
        return plan_from_json(answer.get("plan"))
    except UsageError as error:  # the server's mistake, not the caller's
        raise HapistoreError(f"the server's answer cannot be read: {error}") from None


def _profile_of(answer: Mapping[str, Any]) -> ModelProfile:
    try:
        return profile_from_json(answer.get("profile"))
    except UsageError as error:
        raise HapistoreError(f"the server's answer cannot be read: {error}") from None
