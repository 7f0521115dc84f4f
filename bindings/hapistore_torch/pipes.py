"""Features and images as IterDataPipes of ready training batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from torch.utils.data import IterDataPipe

from hapistore import ImageView, ObjectStore, Preprocess, ReadOptions, View

from .feed import Fed, Feed, worker_of_process
from .options import read_options, shuffle_mode
from .tensors import as_tensors, feature_reader, image_reader, samples


class _Pipe(Fed, IterDataPipe):
    """An iterable over a `Feed`, and what DataLoader calls on DataPipes."""

    def __init__(self, make: Callable[[ReadOptions], Callable[[], Any]], options: ReadOptions, batched: bool) -> None:
        self._make, self._options, self._batched = make, options, batched
        self._feed = Feed(make(options))
        self._loader_seed: int | None = None
        self._loader_part: tuple[int, int] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by label, where labels are text."""
        return tuple(self._feed.reader.classes)

    @property
    def rows(self) -> int:
        """Rows of an epoch, over all ranks and loader workers."""
        return int(self._feed.reader.rows)

    def __iter__(self) -> Iterator[Any]:
        # Used once: a plain pass over the pipe afterwards is an epoch of its own again.
        seed, self._loader_seed = self._loader_seed, None
        for batch in self._feed.batches(epoch=seed, part=self._part()):
            if self._batched:
                yield as_tensors(batch)
            else:
                yield from samples(as_tensors(batch))

    def __len__(self) -> int:
        """Training batches of an epoch on this rank, over all its loader workers; samples, where it gives these."""
        rank, ranks = self._feed.rank()
        steps = self._feed.reader.steps(ranks)
        if self._batched:
            return int(steps.count)
        return sum(stop - start for start, stop in (steps.span(step, rank) for step in range(steps.count)))

    def sharding_filter(self, sharding_group_filter: Any = None) -> _Pipe:
        """The pipe itself: it shards at the source already."""
        return self

    def apply_sharding(self, num_of_instances: int, instance_id: int, sharding_group: Any = None) -> None:
        """Called by DataLoader in each worker, with workers and ranks multiplied out."""
        self._loader_part = (instance_id, num_of_instances)

    def set_shuffle(self, shuffle: bool) -> None:
        """Called by DataLoader where ``shuffle=`` is given."""
        options = replace(self._options, shuffle=shuffle_mode(shuffle, self._options.shuffle))
        if options != self._options:
            self._options, self._feed = options, self._feed.reopened(self._make(options))

    def set_seed(self, seed: int) -> None:
        """Called by DataLoader before every epoch, with the same number on all ranks and workers."""
        self._loader_seed = seed

    def _part(self) -> tuple[int, int]:
        """This loader worker's number, and how many there are on this rank."""
        if self._loader_part is None:
            return worker_of_process()
        instance, instances = self._loader_part
        workers = worker_of_process()[1]
        # DataLoader multiplies the ranks in where torch.distributed runs, workers of one rank being far apart.
        return (instance // (instances // workers), workers) if instances > workers else (instance, instances)


class FeaturePipe(_Pipe):
    """Yields ``(features, labels)`` training batches of a view; ``features`` alone where ``label=None``.

    Shuffled by seed and epoch, and shared among ranks and loader workers at the source: each rank has its slice of
    every global batch, and sees the same batches in the same order with any number of loader workers. Use it in a plain
    ``for``, or as ``DataLoader(pipe, batch_size=None, num_workers=2)``.

    In a plain ``for`` every pass is the next epoch. Under a DataLoader the epoch's order follows the seed
    that the loader draws for it (``torch.manual_seed`` makes that reproducible); ``set_epoch`` overrides both.

    Args:
        view: from ``hapistore.open_view``, or ``offload``; one of images yields uint8 [n, height, width, 3].
        batched: False gives single samples instead of training batches.
        pin_memory: read into pinned memory, from which copies to an accelerator do not wait.
        options: those of ``hapistore.ReadOptions``: ``subset``, ``label``, ``batch_size``, ``shuffle``, ``seed``, …

    Yields:
        features: float32 [n, *view.shape]; labels: int64 [n] for classes and integers, float32 [n] for reals; a
        dictionary of further columns where ``columns`` are asked for.

    Raises:
        UsageError: nothing is selected, a column is missing or incomplete, or there is no such option.
    """

    def __init__(
        self, view: View | ImageView, *, batched: bool = True, pin_memory: bool = False, **options: Any
    ) -> None:
        super().__init__(partial(feature_reader, view, pin_memory=pin_memory), read_options(options), batched)


class ImagePipe(_Pipe):
    """Yields ``(images, labels)`` training batches of a dataset's images, decoded; else as `FeaturePipe`.

    Args:
        store: from ``hapistore.open_store``; dataset: ``pets`` for the newest version, ``pets@7`` for one.
        preprocess: resizes and crops, as a backbone's ``preprocess`` does; without it, images keep their size.

    Yields:
        images: uint8 [n, height, width, 3], or a list of [height, width, 3] without ``preprocess``.
    """

    def __init__(
        self,
        store: ObjectStore,
        dataset: str,
        *,
        preprocess: Preprocess | None = None,
        batched: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(partial(image_reader, store, dataset, preprocess), read_options(options), batched)
