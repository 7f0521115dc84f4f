"""A prefix as ONNX, which is data: what it computes and its weights, and nothing of where or how it was written.

PyTorch's exporter notes stack traces with paths, and names values by counters of its own. Without these, one prefix
gives the same bytes in every process, so that their hash names it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ..errors import UsageError
from .packages import import_package
from .prefix import one_line

_INSTALL = "pip install 'hapistore[onnx]'"
_MOST_BYTES = (1 << 31) - 1  # of one protobuf message


def onnx_program(prefix: nn.Module, image_px: tuple[int, int]) -> bytes:
    """Export the prefix of a cut: input ``images`` float32 [n, 3, height, width], output ``features`` [n, *shape].

    Equal prefixes of one version of PyTorch give equal bytes.

    Args:
        image_px: (height, width).

    Raises:
        UsageError: onnx is not installed, the prefix cannot be exported, or it is larger than ONNX's message may be.
    """
    for package in ("onnx", "onnxscript"):
        import_package(package, wanted_for="an ONNX program", install=_INSTALL)
    size = sum(tensor.nbytes for tensor in prefix.state_dict().values())
    if size > _MOST_BYTES:
        raise UsageError(
            f"the prefix has {size:,} bytes of weights, an ONNX message holds {_MOST_BYTES:,}; cut earlier"
        )
    model = _export(prefix, image_px)
    _check_operators(model.graph)
    _without_notes(model)
    _rename(model.graph, set(prefix.state_dict()))
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _export(prefix: nn.Module, image_px: tuple[int, int]) -> Any:
    device = next((tensor.device for tensor in prefix.state_dict().values()), torch.device("cpu"))
    example = torch.zeros((2, 3, *image_px), device=device)
    try:
        with _quiet():
            program = torch.onnx.export(
                prefix, (example,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("n")},), verbose=False
            )
    except Exception as error:  # exporting runs the network's own code
        raise UsageError(f"the prefix cannot be exported to ONNX: {one_line(error)}") from error
    if program is None:
        raise UsageError("the prefix cannot be exported to ONNX: PyTorch's exporter returned nothing")
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's own messages about itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check_operators(graph: Any) -> None:
    for node in graph.node:
        if node.domain or any(attribute.HasField("g") for attribute in node.attribute):
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise UsageError(f"the prefix needs {name}, expected standard ONNX operators that do not branch")


def _without_notes(message: Any) -> None:
    """Remove remarks from a protobuf message and all within."""
    for field in ("metadata_props", "doc_string", "producer_name", "producer_version"):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for inner in (value,) if hasattr(value, "ListFields") else value:
                _without_notes(inner)


def _rename(graph: Any, kept: set[str]) -> None:
    """Values by order of appearance, weights as they are."""
    names: dict[str, str] = {graph.input[0].name: "images", graph.output[0].name: "features"}

    def name_of(old: str) -> str:
        return names.setdefault(old, old if old in kept or not old else f"v{len(names)}")

    for initializer in graph.initializer:
        initializer.name = name_of(initializer.name)
    for place, node in enumerate(graph.node):
        node.name = f"n{place}"
        node.input[:] = [name_of(old) for old in node.input]
        node.output[:] = [name_of(old) for old in node.output]
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = name_of(value.name)
    graph.name = "prefix"
