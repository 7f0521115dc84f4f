"""Taking a network that a client sends: its words and bytes checked, rebuilt, tried, and registered."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from typing import Any

from hapistore_format import Recipe
from hapistore_format.weights import RawTensor, read_weights, write_weights

from ...catalog.recipes import is_registered, register_recipe
from ...errors import FormatError, UsageError
from ...extraction.recipes import recipe_of
from ...extraction.stored_prefix import preprocess_of, rebuilt
from ...models import OnnxPrefix
from ...models.onnx_prefix import PROGRAM_TENSOR
from ...stores import ObjectStore
from ...units import format_bytes
from .intake_limits import IntakeLimits
from .payload_kinds import kind_of
from .program_trial import try_program
from .sent_header import SentHeader

_MOST_HEADER_BYTES = 16 << 20  # of safetensors; the largest known network has a tenth of that
# One network is rebuilt and tried at a time: each may take the memory that limits allow.
_turn = threading.Lock()


def receive_network(
    store: ObjectStore, header: Mapping[str, Any], payload: bytes | memoryview, limits: IntakeLimits
) -> Recipe:
    """Take what `pack_network` made, or what somebody else made in its place.

    A network that is registered already is neither rebuilt nor run again.

    Args:
        header, payload: as of a `SentNetwork`; nothing of them is believed.

    Returns:
        The recipe; it and its weights are in the store.

    Raises:
        UsageError: the network is refused; nothing was stored.
        StoreError: the store could not take it.
    """
    sent = SentHeader.parse(header, limits)
    _check_payload(sent, payload, limits)
    if sent.kind == "onnx":
        return _receive_program(store, sent, bytes(payload), limits)
    return _receive_weights(store, sent, memoryview(payload), limits)


def _check_payload(sent: SentHeader, payload: bytes | memoryview, limits: IntakeLimits) -> None:
    """What it is, before anything parses it."""
    if sent.kind == "onnx" and not limits.allow_onnx:
        raise UsageError(
            f"{sent.architecture} was sent as an ONNX program, and this service takes none; its operator allows them "
            "by --allow-onnx"
        )
    if len(payload) > limits.max_bytes:
        sizes = f"{format_bytes(len(payload))}, allowed are {format_bytes(limits.max_bytes)}"
        raise UsageError(f"{sent.architecture} was sent as {sizes}")
    found = kind_of(payload)
    expected = {"weights": "safetensors", "onnx": ""}[sent.kind]
    if found != expected:
        raise UsageError(
            f"{sent.architecture} was sent as {found or 'bytes of no kind that is known'}, expected "
            f"{'weights as safetensors' if expected else 'an ONNX program'}; nothing else is loaded"
        )
    digest = hashlib.sha256(payload).hexdigest()
    if digest != sent.sha256:
        raise UsageError(
            f"{sent.architecture} arrived damaged: its SHA-256 is {digest[:12]}…, expected {sent.sha256[:12]}…; "
            "send it again"
        )


def _receive_weights(store: ObjectStore, sent: SentHeader, payload: memoryview, limits: IntakeLimits) -> Recipe:
    recipe = sent.recipe(weights=sent.sha256, program=None)
    if is_registered(store, recipe):
        register_recipe(store, recipe, bytes(payload))  # counts as new for gc
        return recipe
    if int.from_bytes(payload[:8], "little") > _MOST_HEADER_BYTES:
        raise UsageError(f"the weights of {sent.architecture} have a header of more than {_MOST_HEADER_BYTES:,} bytes")
    try:
        tensors = read_weights(payload, sent.sha256, where=f"the payload of {sent.architecture}")
    except FormatError as error:
        raise UsageError(str(error)) from error
    with _turn:
        prefix = rebuilt(recipe, tensors, max_memory_bytes=limits.max_memory_bytes)
        if tuple(prefix.feature_shape) != sent.shape:
            raise UsageError(f"{prefix} is what was sent, expected features of shape {sent.shape}")
        # Spelled anew: equal weights have equal bytes, whoever wrote them.
        recipe, weights = recipe_of(prefix, precision=sent.precision)
    register_recipe(store, recipe, weights)
    return recipe


def _receive_program(store: ObjectStore, sent: SentHeader, code: bytes, limits: IntakeLimits) -> Recipe:
    digest, weights = write_weights({PROGRAM_TENSOR: RawTensor("U8", (len(code),), code)})
    recipe = sent.recipe(weights=digest, program=sent.sha256)
    if not is_registered(store, recipe):
        prefix = OnnxPrefix(
            architecture=sent.architecture,
            cut=sent.cut,
            preprocess=preprocess_of(sent.preprocess),
            weights_name=sent.weights_name,
            code=code,
            feature_shape=sent.shape,
            must_confine=limits.require_confinement,
        )
        with _turn:
            try_program(prefix, limits)
    register_recipe(store, recipe, weights)
    return recipe
