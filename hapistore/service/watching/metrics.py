"""What a server counts of its work, for Prometheus."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import HapistoreError, NotFound, TransientError, UsageError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

OTHER = "other"
"""Label of all that came after as many values as are told apart."""
GAUGES = {
    "queue_length": "Image shards that wait for their extraction.",
    "memory_budget_bytes": "What extraction batches may take together.",
    "memory_planned_bytes": "What the extraction batches that run were granted.",
    "memory_peak_bytes": "The most that was granted at once since the server started.",
}
"""What is asked for when it is read, with what it says."""
# Passing a shard through takes milliseconds, extracting one up to minutes.
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)
_MOST_KINDS, _MOST_TENANTS = 32, 1000


class Metrics:
    """Counters of one server, in a registry of their own. Safe to use from several threads.

    No label takes more values than are said here, whatever clients send: the rest are one value, ``other``.

    Args:
        version: of hapistore, for ``hapistore_build_info``.
        most_recipes: how many recipes are told apart, the first ones.

    Raises:
        UsageError: prometheus_client is not installed.
    """

    def __init__(self, *, version: str, most_recipes: int = 100) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError:
            raise UsageError(
                "metrics need the package prometheus_client: pip install 'hapistore[serve]', or --metrics none"
            ) from None
        self._registry = registry = prometheus.CollectorRegistry()
        self._tenants, self._kinds, self._recipes = _Few(_MOST_TENANTS), _Few(_MOST_KINDS), _Few(most_recipes)

        def counter(name: str, text: str, *labels: str) -> prometheus.Counter:
            return prometheus.Counter(f"hapistore_{name}", text, labels, registry=registry)

        self._requests = counter("requests", "Requests that ended.", "tenant", "kind", "outcome")
        self._sent = counter("sent_bytes", "Bytes of answers.", "tenant")
        self._received = counter("received_bytes", "Bytes of uploads.", "tenant")
        self._shards = counter("extracted_shards", "Feature shards that were made.", "recipe")
        self._images = counter("extracted_images", "Images of the feature shards that were made.", "recipe")
        self._shared = counter("shared_extractions", "Requests for a shard that was being made for another one.")
        self._passed = counter("passed_through_shards", "Feature shards that were there and were sent untouched.")
        self._refused = counter("authentication_failures", "Requests with no token or an unknown one.")
        self._seconds = prometheus.Histogram(
            "hapistore_request_seconds", "Until a request ended.", ["kind"], buckets=_SECONDS, registry=registry
        )
        self._in_flight = prometheus.Gauge("hapistore_requests_in_flight", "Requests that run.", registry=registry)
        build = prometheus.Info("hapistore_build", "What runs.", registry=registry)
        build.info({"version": version, "python": platform.python_version()})

    @property
    def registry(self) -> CollectorRegistry:
        """Where the counters are."""
        return self._registry

    def watch(self, **gauges: Callable[[], float]) -> None:
        """Ask for these when they are read: names of `GAUGES`, each at most once.

        A function is called from the thread that answers; one that raises makes the whole answer an error.
        """
        from prometheus_client import Gauge

        for name, read in gauges.items():
            Gauge(f"hapistore_{name}", GAUGES[name], registry=self._registry).set_function(read)

    @contextmanager
    def request(self, tenant: str, kind: str) -> Iterator[None]:
        """Count what is done inside as one request, with how it ended and how long it took."""
        began, outcome = time.perf_counter(), "ok"
        self._in_flight.inc()
        try:
            yield
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._in_flight.dec()
            kind = self._kinds.label(kind)
            self._seconds.labels(kind).observe(time.perf_counter() - began)
            self._requests.labels(self._tenants.label(tenant), kind, outcome).inc()

    def sent(self, tenant: str, count: int) -> None:
        """Bytes of an answer have gone out."""
        self._sent.labels(self._tenants.label(tenant)).inc(count)

    def received(self, tenant: str, count: int) -> None:
        """Bytes of an upload have come in."""
        self._received.labels(self._tenants.label(tenant)).inc(count)

    def extracted(self, recipe: str, *, images: int, shards: int = 1) -> None:
        """Feature shards of a recipe were made."""
        label = self._recipes.label(recipe)
        self._shards.labels(label).inc(shards)
        self._images.labels(label).inc(images)

    def shared(self) -> None:
        """A shard was asked for that is being made already."""
        self._shared.inc()

    def passed_through(self, shards: int = 1) -> None:
        """A shard was there, and was sent as it is."""
        self._passed.inc(shards)

    def authentication_failed(self) -> None:
        """A request had no token, or one that nobody has."""
        self._refused.inc()

    def exposition(self) -> tuple[bytes, str]:
        """All of it in Prometheus' text format, and that format's content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def outcome_of(error: BaseException | None) -> str:
    """How a request ended, as one of a few words."""
    if error is None:
        return "ok"
    for kind, word in _OUTCOMES:
        if isinstance(error, kind):
            return word
    return "error" if isinstance(error, Exception) else "cancelled"


# The first that fits. `failed` is an error that hapistore foresees, `error` one that it does not.
_OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (NotFound, "not-found"),
    (UsageError, "refused"),
    (TransientError, "try-again"),
    (HapistoreError, "failed"),
)


class _Few:
    """Values of a label, as many as may be told apart."""

    def __init__(self, most: int) -> None:
        self._most, self._known, self._lock = most, set[str](), threading.Lock()

    def label(self, value: str) -> str:
        """The value itself, or `OTHER`."""
        with self._lock:
            if value not in self._known:
                if len(self._known) >= self._most:
                    return OTHER
                self._known.add(value)
        return value
