"""The action ``plan``: where to cut a network, with this machine as the storage tier."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hapistore_format import get_codec

from ...catalog import require_store, resolve_version
from ...errors import UsageError
from ...extraction.cut_profiles import ProfileOptions, check_cut, measured_profile
from ...models import Backbone, TracedNetwork, load_backbone, trace
from ...planning import (
    POLICIES,
    SHIP_IMAGES,
    ModelProfile,
    Resources,
    combine_tiers,
    plan_split,
    plan_to_json,
    profile_from_json,
    profile_to_json,
)
from ...planning.json_fields import shown
from ...stores import ObjectStore
from .plan_fields import Fields

# Other families take folders and addresses of hubs, which are no business of a client's.
_BACKBONE = re.compile(r"efficientnet_lite\d|(?:torchvision|timm)/[A-Za-z0-9_.]{1,100}")
_WEIGHTS = ("random", "pretrained")
_PRECISIONS = ("f32", "bf16")
# What a training step costs an image is the same from here on, and the batch is held in this machine's memory.
_MOST_MEASURED = 256
_MOST_CUTS = 2000
_LONGEST = 200

# A measurement takes all cores, and two at once would measure each other.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What a client asks to be planned.

    Attributes:
        dataset: ``pets`` or ``pets@7``.
        backbone: a known network, by name.
        weights: ``random`` is enough for every time; what features take under a codec that compresses depends on the
            values, and so on ``pretrained``.
        freeze_until, freeze_all: as in `hapistore.PrepareOptions`; with neither nothing is frozen, and images are
            shipped.
        codec, precision: of the features. policy: as in `plan_split`; cut: index or name, in place of a policy's.
        resources: the link as the client measured it, and its training.
        compute: what the client measured of its own tier; None: this machine's times stand for it.
    """

    dataset: str
    backbone: str
    weights: str
    freeze_until: str | None
    freeze_all: bool
    codec: str
    precision: str
    policy: str
    cut: int | str | None
    resources: Resources
    compute: ModelProfile | None

    @classmethod
    def parse(cls, request: Mapping[str, Any], *, memory_bytes: float | None = None) -> PlanRequest:
        """Read a request that anyone may have written.

        Args:
            memory_bytes: what a prefix may take on this machine.

        Raises:
            UsageError: a field is missing, unknown, or holds something else than it may.
        """
        fields = Fields(request, "plan")
        found = cls(
            dataset=fields.text("dataset"),
            backbone=_backbone(fields.text("backbone")),
            weights=fields.one_of("weights", _WEIGHTS, "random"),
            freeze_until=fields.optional_text("freeze_until"),
            freeze_all=fields.flag("freeze_all"),
            codec=_codec(fields.text("codec", "u8c+zstd")),
            precision=fields.one_of("precision", _PRECISIONS, "f32"),
            policy=fields.one_of("policy", tuple(POLICIES), "cost"),
            cut=fields.index_or_name("cut"),
            resources=Resources(
                link_bytes_per_s=fields.number("link"),
                link_low_bytes_per_s=fields.optional_number("link_low"),
                link_delay_s=fields.number("link_delay", 0.0, most=3600.0),
                batch_size=fields.whole("batch_size", 256, most=1_000_000),
                epochs=fields.whole("epochs", 1, most=1_000_000),
                augmented=fields.flag("augmented"),
                cache_bytes=fields.number("cache_bytes", 0.0),
                memory_bytes=memory_bytes,
            ),
            compute=_profile(fields.anything("profile")),
        )
        fields.check_all_known()
        return found


def plan_action(
    store: ObjectStore,
    request: Mapping[str, Any] | PlanRequest,
    *,
    memory_bytes: float | None = None,
    device: str | None = None,
    sample: int = 16,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure a network's prefixes here, and choose where to cut it.

    One network is measured at a time: the others wait. What was measured is kept for the next plan. Nothing is stored.

    Args:
        request: as parsed from JSON, or read before; `PlanRequest` says what it holds.
        memory_bytes: what a prefix may take on this machine, where ``request`` has not been read yet.
        device: a torch device to run prefixes on.
        sample: images to measure with.
        on_progress: called with (cuts measured, cuts in all). An error of it ends the measurement.

    Returns:
        ``plan`` for `plan_from_json`; ``profile``, what was measured here, for `profile_from_json`; and
        ``measured_on``: what ran the prefixes (``storage``) and the tails (``compute``), and with which ``weights``.

    Raises:
        UsageError: the request cannot be read; there is no such dataset, network, module, cut or codec; or the client's
            profile is of another network.
        HapistoreError: the store cannot be read, or no image can be decoded.
    """
    asked = request if isinstance(request, PlanRequest) else PlanRequest.parse(request, memory_bytes=memory_bytes)
    require_store(store)
    version = resolve_version(store, asked.dataset)  # before the network is loaded, which takes seconds
    with _one_at_a_time:
        backbone = load_backbone(asked.backbone, weights=asked.weights)
        network = _frozen(backbone, asked)
        check_cut(network, asked.cut)
        measured = measured_profile(
            network,
            store,
            version,
            backbone.preprocess,
            _measuring(asked, device),
            name=backbone.architecture,
            sample=sample,
            on_progress=on_progress,
        )
    both = measured if asked.compute is None else combine_tiers(measured, asked.compute)
    plan = plan_split(both.through(asked.codec), asked.resources, asked.policy)
    plan = plan if asked.cut is None else plan.with_cut(asked.cut)
    about = dict(measured.about)
    return {
        "plan": plan_to_json(plan),
        "profile": profile_to_json(measured),
        "measured_on": {
            "storage": about,
            "compute": about if asked.compute is None else dict(asked.compute.about),
            "weights": asked.weights,
        },
    }


def _frozen(backbone: Backbone, asked: PlanRequest) -> TracedNetwork:
    network = trace(backbone.whole(), backbone.preprocess.crop_px)
    if asked.freeze_until is not None:
        network.freeze(asked.freeze_until)
    if asked.freeze_all:
        network.freeze(network.cuts[-1].name)
    return network


def _measuring(asked: PlanRequest, device: str | None) -> ProfileOptions:
    return ProfileOptions(
        batch_size=min(asked.resources.batch_size, _MOST_MEASURED),
        codecs=(asked.codec,),
        precision=asked.precision,
        device=device,
        at=None if asked.cut == SHIP_IMAGES else asked.cut,
    )


def _backbone(name: str) -> str:
    if _BACKBONE.fullmatch(name) is None:
        raise UsageError(
            f"plan.backbone: found {shown(name)}, expected efficientnet_lite0, torchvision/NAME or timm/NAME; "
            "a network of your own is planned where it is: hapistore.plan_training"
        )
    return name


def _codec(spec: str) -> str:
    get_codec(spec)
    return spec


def _profile(value: object) -> ModelProfile | None:
    if value is None:
        return None
    try:
        profile = profile_from_json(value)
    except UsageError as error:
        raise UsageError(f"plan.profile: {error}") from None
    if len(profile.cuts) > _MOST_CUTS:
        raise UsageError(f"plan.profile.cuts: found {len(profile.cuts)}, expected at most {_MOST_CUTS}")
    texts = (text for pair in profile.about.items() for text in pair)
    if len(profile.about) > 20 or any(len(text) > _LONGEST or not text.isprintable() for text in texts):
        raise UsageError(f"plan.profile.about: expected at most 20 texts of one line, of up to {_LONGEST} characters")
    return profile
