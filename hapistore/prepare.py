"""From a network, a dataset and a link to what trains fastest: trace, profile, plan, extract what is missing."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hapistore_format import DatasetVersion, get_codec

from .catalog import ImageView, View, images_name, open_view, require_store, resolve_version
from .errors import UsageError
from .extraction import DEFAULT_CODEC, ExtractOptions, extract
from .extraction.cut_profiles import ProfileOptions, check_cut, measured_profile
from .images import Preprocess
from .models import TracedNetwork, WholeNetwork, prefix_and_tail, preprocess_for, trace
from .planning import GIVEN, SHIP_IMAGES, CutProfile, ModelProfile, Resources, SplitPlan, plan_split
from .read import KEPT_BYTES
from .service.client import ServiceClient
from .stores import LinkSpeed, ObjectStore, measure_link
from .units import format_bytes, format_rate, format_seconds, parse_rate

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Planned", "PrepareOptions", "Prepared", "plan_training", "prepare_planned", "prepare_training"]

_log = logging.getLogger(__name__)
OnProgress = Callable[[str, int, int], None]
"""Called with what is going on (``profile`` or ``extract``), how much of it is done, and how much there is."""


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How a network is to be trained, and where.

    Attributes:
        freeze_until: path of a module, or name of a cut: all up to and including it is frozen. None: what takes no
            gradients already.
        freeze_all: freeze all but the last layer that has weights.
        cut: index or name of the cut to take in place of the planned one; 0 ships the images.
        policy: as in `plan_split`.
        preprocess: what turns encoded bytes into the network's input; None: what a network of hapistore's, timm or
            transformers says of itself, else a centre crop of 224 pixels as in most of ImageNet's.
        name: of the architecture in recipes; default: the class of the network.
        link: what training gets of the link to the store: ``1Gbit/s``, or bytes a second; None: measured.
        epochs, batch_size: of the training.
        codec: of the features.
        cache_bytes: what readers keep beside the training between epochs; by default in memory.
        disk_bytes: most that features may take in the store; None: no limit.
        sample: images to measure with.
        extract: how to extract.
    """

    freeze_until: str | None = None
    freeze_all: bool = False
    cut: int | str | None = None
    policy: str = "cost"
    preprocess: Preprocess | None = None
    name: str | None = None
    link: str | float | None = None
    epochs: int = 1
    batch_size: int = 256
    codec: str = DEFAULT_CODEC
    cache_bytes: float = KEPT_BYTES
    disk_bytes: float | None = None
    sample: int = 16
    extract: ExtractOptions = field(default_factory=ExtractOptions)

    def __post_init__(self) -> None:
        get_codec(self.codec)
        self.link_bytes_per_s  # noqa: B018
        if self.sample < 1:
            raise UsageError("at least one image is needed to measure with")

    @property
    def link_bytes_per_s(self) -> float | None:
        """What was said of the link.

        Raises:
            UsageError: it is no rate.
        """
        if not isinstance(self.link, str):
            return self.link
        try:
            return parse_rate(self.link)
        except ValueError as error:
            raise UsageError(f"link: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A network with its cuts, what they cost, and which was chosen.

    Attributes:
        measured: what each cut costs; profile: the same with features in the codec that was asked for.
        link: as measured; None where it was given.
    """

    network: TracedNetwork
    version: DatasetVersion
    preprocess: Preprocess
    measured: ModelProfile
    profile: ModelProfile
    link: LinkSpeed | None
    plan: SplitPlan


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What to train with.

    Attributes:
        tail: takes what readers of the view hand out; its parameters are the network's own.
        view: of features, or of images where shipping them is best.
    """

    planned: Planned
    tail: nn.Module
    view: View | ImageView

    @property
    def plan(self) -> SplitPlan:
        """What was chosen among what."""
        return self.planned.plan


def plan_training(
    model: nn.Module,
    store: ObjectStore,
    dataset: str,
    options: PrepareOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Planned:
    """Find where to cut a network for a dataset. Nothing is stored; what was measured is kept for the next plan.

    Args:
        model: normalised float32 [n, 3, height, width] to anything. ``freeze_until`` makes parameters untrainable,
            nothing else of it changes.
        dataset: ``pets`` or ``pets@7``.

    Raises:
        UsageError: the network cannot be traced, or there is no such module, cut, dataset or policy.
        HapistoreError: the store cannot be read, or no image can be decoded.
    """
    options = options or PrepareOptions()
    require_store(store)
    version = resolve_version(store, dataset)
    preprocess = options.preprocess or preprocess_for(model)
    network = trace(model, preprocess.crop_px)
    if options.freeze_until is not None:
        network.freeze(options.freeze_until)
    if options.freeze_all:
        network.freeze(network.cuts[-1].name)
    check_cut(network, options.cut)
    measured = _profile(network, store, version, preprocess, options, on_progress)
    profile = measured.through(options.codec)
    profile = replace(profile, cuts=_that_may_be_stored(profile, options))
    link = None
    if options.link_bytes_per_s is None:
        link = measure_link(store, [images_name(shard.images, shard.layout) for shard in version.shards])
    found = plan_split(profile, _resources(options, link), options.policy)
    return Planned(
        network=network,
        version=version,
        preprocess=preprocess,
        measured=measured,
        profile=profile,
        link=link,
        plan=found if options.cut is None else found.with_cut(options.cut),
    )


def prepare_training(
    model: nn.Module,
    store: ObjectStore,
    dataset: str,
    options: PrepareOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Prepared:
    """Plan, and have the features of the chosen cut: those that are not stored yet are extracted.

    One line in the log says what was chosen, and what it is expected to save.

    Raises:
        UsageError, HapistoreError: as `plan_training` and `extract`.
    """
    options = options or PrepareOptions()
    planned = plan_training(model, store, dataset, options, on_progress=on_progress)
    _log.info("%s", in_words(planned))
    return prepare_planned(planned, store, options, on_progress=on_progress)


def prepare_planned(
    planned: Planned, store: ObjectStore, options: PrepareOptions, *, on_progress: OnProgress | None = None
) -> Prepared:
    """The second half of `prepare_training`: cut, and extract what is missing. A service is told of the prefix instead.

    Raises:
        UsageError, HapistoreError: as `extract`, or the service does not take the prefix.
    """
    network, version, chosen = planned.network, planned.version, planned.plan.chosen
    if chosen.cut.index == SHIP_IMAGES:
        tail = WholeNetwork(network.whole(), planned.preprocess, network.device)
        view = ImageView(store=store, version=version, preprocess=planned.preprocess)
        return Prepared(planned=planned, tail=tail, view=view)
    prefix, cut_tail = prefix_and_tail(
        network, chosen.cut.index, preprocess=planned.preprocess, name=_name(network.model, options)
    )
    if isinstance(store, ServiceClient):  # which extracts when its features are read
        recipe = store.register(prefix, precision=options.extract.precision)
        served = store.view(version.label, recipe=recipe, codec=options.codec)
        return Prepared(planned=planned, tail=cut_tail, view=served)
    found = extract(
        store,
        version.label,
        prefix,
        codecs=[options.codec],
        options=options.extract,
        on_progress=on_progress and (lambda done, total: on_progress("extract", done, total)),
    )
    features = open_view(store, version.label, recipe=found.recipe.digest, codec=options.codec)
    return Prepared(planned=planned, tail=cut_tail, view=features)


def in_words(planned: Planned) -> str:
    """One line: what was chosen, and what it is expected to save against shipping images."""
    chosen, images = planned.plan.chosen, planned.plan.candidates[0]
    link = f"over a link of {format_rate(planned.link.bytes_per_s)}" if planned.link else "over the link given"
    if chosen.cut.index == SHIP_IMAGES:
        why = "" if planned.network.freeze_index else "; nothing before the first cut is frozen"
        verb = "was asked for" if planned.plan.policy == GIVEN else "is best"
        return f"{link}, shipping the images {verb}: {format_seconds(chosen.epoch_s)} an epoch{why}"
    cut = f"cut {chosen.cut.index} of {len(planned.network.cuts)} ({chosen.cut.name})"
    verb = "was asked for" if planned.plan.policy == GIVEN else "is best"
    saved = ""
    if images.cut.index == SHIP_IMAGES:
        few, many = (format_bytes(one.cut.bytes_per_image) for one in (chosen, images))
        saved = f", where shipping the images takes {format_seconds(images.epoch_s)}; {few} an image in place of {many}"
    return f"{link}, {cut} {verb}: {format_seconds(chosen.epoch_s)} an epoch{saved}"


def _profile(
    network: TracedNetwork,
    store: ObjectStore,
    version: DatasetVersion,
    preprocess: Preprocess,
    options: PrepareOptions,
    on_progress: OnProgress | None,
) -> ModelProfile:
    measure = ProfileOptions(
        batch_size=options.batch_size,
        codecs=(options.codec,),
        precision=options.extract.precision,
        device=options.extract.device,
        decode_threads=options.extract.decode_threads,
        at=None if options.cut == SHIP_IMAGES else options.cut,
    )
    return measured_profile(
        network,
        store,
        version,
        preprocess,
        measure,
        name=_name(network.model, options),
        sample=options.sample,
        on_progress=on_progress and (lambda done, total: on_progress("profile", done, total)),
    )


def _that_may_be_stored(profile: ModelProfile, options: PrepareOptions) -> tuple[CutProfile, ...]:
    """Candidates whose features are within the room there is."""
    most = math.inf if options.disk_bytes is None else options.disk_bytes / profile.images
    return tuple(cut for cut in profile.candidates if cut.index == SHIP_IMAGES or cut.bytes_per_image <= most)


def _resources(options: PrepareOptions, link: LinkSpeed | None) -> Resources:
    given = options.link_bytes_per_s
    speeds = (given, None, 0.0) if link is None else (link.bytes_per_s, link.low_bytes_per_s, link.delay_s)
    assert speeds[0] is not None
    return Resources(
        link_bytes_per_s=speeds[0],
        link_low_bytes_per_s=speeds[1],
        link_delay_s=speeds[2],
        batch_size=options.batch_size,
        epochs=options.epochs,
        cache_bytes=options.cache_bytes,
        memory_bytes=options.extract.memory_bytes,
        extracted_first=True,
    )


def _name(model: nn.Module, options: PrepareOptions) -> str:
    return options.name or type(model).__name__
