"""A service, as training sees it: a store whose features are there as soon as they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hapistore_format import Augmentation, DatasetVersion, Recipe, get_codec

from ..catalog import View, find_recipe, load_recipe, require_store, resolve_version
from ..catalog.missing import MissingRows, find_missing
from ..catalog.recipes import list_recipes
from ..errors import UsageError
from ..stores import ObjectStore
from ..stores.retrying import RetryOptions
from ..stores.sound import read_sound
from .connection import Connection
from .missing_list import read_missing
from .row_stream import Rows, RowStream
from .service_store import MakingStore, ServiceStore
from .wire import MissingTicket, RowsTicket

if TYPE_CHECKING:
    from ..models import Prefix
    from ..planning import SplitPlan
    from .plans.client_plan import Module

__all__ = ["DEFAULT_CODEC", "ServiceClient", "connect"]

DEFAULT_CODEC = "u8c+zstd"


class ServiceClient(ServiceStore):
    """A service; it goes wherever a store goes. Thread-safe, and pickles to what connects again."""

    def __reduce__(self) -> tuple[Callable[..., ServiceClient], tuple[Connection, ObjectStore | None]]:
        return ServiceClient, (self.connection, self.bucket)

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what is asked for later opens it again."""
        self.connection.close()

    def register(
        self,
        network: str | Prefix,
        *,
        cut: str | None = None,
        weights: str = "pretrained",
        precision: str = "f32",
        decoder: str | None = None,
    ) -> Recipe:
        """Tell the service of a network, so that it can compute what nobody has computed yet.

        What is well known crosses as its name and its frozen weights; any other network as an ONNX program, which
        the service takes where its operator allows it.

        Args:
            network: name of a backbone, as `load_backbone` takes it, or a prefix.
            cut, weights, decoder: as `load_backbone` and `Backbone.prefix` take them, beside a name.
            precision: ``f32`` or ``bf16``.

        Returns:
            the recipe of its features.

        Raises:
            UsageError: there is no such network, or the service does not take it.
        """
        from ..extraction.sending import pack_network  # with torch, which reading features does without
        from ..models import load_backbone

        if isinstance(network, str):
            network = load_backbone(network, weights=weights).prefix(cut, decoder=decoder)
        sent = pack_network(network, precision=precision)
        answer = self.connection.send({"kind": "network", **sent.header}, sent.payload)
        return load_recipe(self, str(answer["recipe"]))

    def view(
        self,
        dataset: str,
        *,
        recipe: str | Recipe | None = None,
        codec: str = DEFAULT_CODEC,
        keep: bool = True,
        augmentation: str | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> View:
        """A view whose features need not be there yet: the service makes each shard's when it is read first.

        Args:
            dataset: ``pets`` for the newest version, ``pets@7`` for one.
            recipe: one, the beginning of its digest, or a name, as `open_view` takes it; None: the only one there is.
            keep: whether what is made is stored, for later epochs and for others. False: *streaming mode*.
            augmentation: such as ``crop,flip``: features of a random variant of every image instead, another one for
                every ``epoch`` and ``seed``. In streaming mode a view is good for one epoch: open one for each.

        Raises:
            UsageError: there is no such dataset, recipe or augmentation.
        """
        require_store(self)
        get_codec(codec)
        version = resolve_version(self, dataset)
        plain = self._recipe(recipe)
        drawn = _variant(augmentation, seed, epoch) if augmentation else None
        store = MakingStore(
            self.connection, self.bucket, dataset=version.label, recipe=plain.digest, augmentation=drawn, keep=keep
        )
        missing = self._missing(version, plain, codec)
        return View(
            store=store, version=version, recipe=replace(plain, augmentation=drawn), codec=codec, missing=missing
        )

    def rows(self, view: View, number: int, *, start: int = 0) -> Iterator[Rows]:
        """Rows of one image shard, in order, while they are made; after a break it goes on at the next one.

        Args:
            view: of this client's ``view``; number: of the shard in its version; start: the first row.

        Yields:
            every row that has features exactly once.

        Raises:
            UsageError, HapistoreError: the service cannot make them.
            StoreError: it cannot be reached for too long.
        """
        if not isinstance(view.store, MakingStore):
            raise UsageError(f"{view} is not one of this client's own; open it with client.view")
        shard = view.version.shards[number]
        ticket = view.store.ticket(view.codec, shard.images, kind=RowsTicket)
        return RowStream(self.connection, replace(ticket, start=start), shard.rows).all()

    def plan(self, network: Module | str, dataset: str, **options: Any) -> SplitPlan:
        """Where to cut a network: the service measures prefixes, this machine the tails and the link.

        Args:
            network: the network, or a known one's name. dataset: ``pets`` or ``pets@7``.
            options: those of `client_plan.PlanOptions`: ``freeze_until``, ``link``, ``epochs``, ``measure_here``, …

        Raises:
            UsageError: the service does not know the network, or there is no such module, cut, dataset or option.
        """
        from .plans.client_plan import PlanOptions, plan

        return plan(self.connection.act, dataset, network, PlanOptions(**options), store=self)

    def status(self) -> dict[str, Any]:
        """What the service is doing: its jobs, memory, and what it has done since it started."""
        return self.connection.act("status", {})

    def cancel(self, dataset: str, *, recipe: str) -> int:
        """Take back what this tenant waits for of a dataset's features; how many shards that were."""
        return int(self.connection.act("cancel", {"dataset": dataset, "recipe": recipe})["cancelled"])

    def drain(self) -> dict[str, Any]:
        """Have the service finish what it has begun and end; for tenants that may."""
        return self.connection.act("drain", {})

    def _missing(self, version: DatasetVersion, plain: Recipe, codec: str) -> MissingRows:
        """Rows that have no features. The service says it of all shards at once: what crosses then are those rows."""
        if self.bucket is not None:
            return find_missing(self, version, plain, codec)
        where = f"missing rows of {version.label}"
        ticket = MissingTicket(dataset=version.label, recipe=plain.digest, codec=codec)
        return read_sound(
            lambda: self.connection.read(ticket, where), partial(read_missing, version=version), where=where
        )

    def _recipe(self, wanted: str | Recipe | None) -> Recipe:
        if isinstance(wanted, Recipe):
            return wanted.plain
        if wanted is not None:
            return find_recipe(self, wanted).plain
        plain = [one for one in list_recipes(self) if one.augmentation is None]
        if len(plain) != 1:
            listed = ", ".join(f"{one.label} ({one.digest[:12]})" for one in plain) or "none; register one first"
            raise UsageError(f"say recipe=, there is: {listed}")
        return plain[0]


def connect(
    url: str,
    *,
    token: str | None = None,
    tls_root: str | os.PathLike[str] | None = None,
    bucket: ObjectStore | None = None,
    retries: RetryOptions | None = None,
) -> ServiceClient:
    """Connect to a service; nothing is asked yet.

    Args:
        url: ``grpc+tls://host:port``, or ``grpc://host:port`` where it has no certificate. The port is 8815 by default.
        token: printed by ``hapistore token``; default: ``$HAPISTORE_TOKEN``.
        tls_root: file of the certificate that the service's is signed by; None: those that the system trusts.
        bucket: the store behind the service, for who may read it: what is there is read from it without a detour.
        retries: how long to try again what failed.

    Raises:
        UsageError: the URL is of another kind, or the certificate cannot be read.
    """
    token = token or os.environ.get("HAPISTORE_TOKEN") or None
    return ServiceClient(Connection(url, token=token, tls_root=tls_root, retries=retries), bucket)


def _variant(text: str, seed: int, epoch: int) -> Augmentation:
    from ..extraction.augmenting import parse_augment

    return replace(parse_augment(text, variants=1, seed=seed).number(0), variant=epoch)
