"""The compute tier's half of a profile: what a network's tails take where they are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ...images import Preprocess
from ...models import TracedNetwork, WholeNetwork, normalised, training_seconds
from ...planning import SHIP_IMAGES, CodecCost, CutProfile, ModelProfile
from .measuring import ProfileOptions, decode_seconds, usual_and_high
from .prefix_cost import codec_cost
from .sample import ImageSample


def profile_tails(
    network: TracedNetwork,
    sample: ImageSample,
    preprocess: Preprocess,
    options: ProfileOptions,
    cuts: Sequence[int],
    *,
    name: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> ModelProfile:
    """Run the tails of some cuts, and the whole network. Nothing of the network changes.

    No prefix is timed: its times are 0, for `combine_tiers` to take those of the tier where it runs.

    Args:
        cuts: indices of cuts, up to the freeze index; the images, which are always measured, may be among them.
        name: the network's, for people.
        on_progress: called with (runs done, runs in all).

    Raises:
        UsageError: there is no such cut, or it lies past the freeze index.
    """
    tails = _Tails(network, sample, preprocess, options)
    indices = sorted({SHIP_IMAGES, *cuts})
    # There and back: what disturbs the machine for a while then meets each cut once at most.
    for done, index in enumerate([*indices, *reversed(indices)], 1):
        tails.measure(index)
        if on_progress is not None:
            on_progress(done, 2 * len(indices))
    return ModelProfile(
        input_bytes_per_image=sample.bytes_per_image,
        freeze_index=network.freeze_index,
        images=sample.images,
        overlapped=True,
        cuts=tuple(map(tails.cut, indices)),
        about={"model": name, "device": str(network.device), "threads": str(torch.get_num_threads())},
    )


class _Tails:
    """One network's measurements."""

    def __init__(
        self, network: TracedNetwork, sample: ImageSample, preprocess: Preprocess, options: ProfileOptions
    ) -> None:
        self._network, self._sample, self._preprocess, self._options = network, sample, preprocess, options
        self._seconds: dict[int, list[float]] = {}
        self._sizes: dict[int, float] = {}
        self._codecs: dict[int, dict[str, CodecCost]] = {}

    def measure(self, index: int) -> None:
        """Train from a cut once more."""
        tail, inputs = self._from(index)
        seconds = training_seconds(tail, inputs, batch_size=self._options.batch_size)
        self._seconds.setdefault(index, []).extend(seconds)

    def cut(self, index: int) -> CutProfile:
        """What was measured of a cut."""
        usual_s, high_s = usual_and_high(self._seconds[index])
        decode_s = 0.0
        if index == SHIP_IMAGES:
            decode_s = decode_seconds(self._sample, self._preprocess, self._options.decode_threads)
        return CutProfile(
            index=index,
            name="images" if index == SHIP_IMAGES else self._network.cuts[index - 1].name,
            bytes_per_image=self._sizes[index],
            storage_s_per_image=0.0,
            compute_s_per_image=decode_s + usual_s,
            compute_s_high=decode_s + high_s,
            codecs=self._codecs.get(index, {}),
        )

    def _from(self, index: int) -> tuple[torch.nn.Module, torch.Tensor]:
        """What is trained with a cut, and what it takes: pixels, or the features of a prefix run by PyTorch."""
        network, pixels = self._network, torch.from_numpy(self._sample.pixels).to(self._network.device)
        if index == SHIP_IMAGES:
            self._sizes[index] = self._sample.bytes_per_image
            return WholeNetwork(network.whole(), self._preprocess, network.device), pixels
        prefix, tail = network.cut(index)
        with torch.no_grad():
            features = prefix(normalised(pixels, self._preprocess)).float().contiguous()
        self._sizes[index] = network.cuts[index - 1].bytes_per_image
        if index not in self._codecs:
            values = features.cpu().numpy()
            self._codecs[index] = {codec: codec_cost(values, codec) for codec in self._options.codecs}
        return tail, features
