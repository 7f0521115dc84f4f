"""What a network computes, as a digest: the graph that torch.export finds, written canonically.

Weights are not part of it, since a recipe hashes them apart. Constants that are no weights are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.export.graph_signature import ConstantArgument, InputKind, InputSpec
from torch.fx import GraphModule, Node

from ..errors import UsageError
from .prefix import one_line

_HEADER = "hapistore program 1"
# An address in a repr would give every process a digest of its own.
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


def program_digest(module: nn.Module, image_px: tuple[int, int], name: str) -> str:
    """SHA-256 (hex) of a network's graph at an image size, with any number of images.

    The same in every process; other operations, constants or tensor names give another digest, other weights
    do not.

    Args:
        module: float32 [n, 3, height, width] to a tensor, in evaluation mode.
        image_px: (height, width).

    Raises:
        UsageError: torch.export cannot take the module, or its graph holds something that has no canonical text.
    """
    text = "\n".join([_HEADER, *_lines(_export(module, image_px, name), name)])
    return hashlib.sha256(text.encode()).hexdigest()


def _export(module: nn.Module, image_px: tuple[int, int], name: str) -> torch.export.ExportedProgram:
    tensors = [*module.parameters(), *module.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    # Two images: torch.export takes a dimension of one for a constant.
    example = torch.zeros((2, 3, *image_px), device=device)
    try:
        return torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("n")},))
    except Exception as error:  # exporting runs the module's own code
        raise UsageError(
            f"torch.export cannot take {name} ({one_line(error)}); "
            "give program='TEXT', to be changed whenever the module's code changes"
        ) from error


def _lines(exported: torch.export.ExportedProgram, name: str) -> Iterator[str]:
    specs = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    inputs = {arg: _input_text(spec, exported.constants, name) for arg, spec in specs.items()}
    yield from _graph_lines(exported.graph_module, inputs, name)


def _input_text(spec: InputSpec, constants: dict[str, Any], name: str) -> str:
    if spec.kind == InputKind.USER_INPUT:
        value = f" {spec.arg.value!r}" if isinstance(spec.arg, ConstantArgument) else ""
        return f"image{value}"
    if spec.target in constants:  # a constant, or a buffer outside the state_dict: no weight, so part of the program
        return f"constant {_tensor_text(constants[spec.target], name)}"
    return f"{spec.kind.name.lower()} {spec.target}"


def _graph_lines(graph_module: GraphModule, inputs: dict[str, str], name: str) -> Iterator[str]:
    """One line a node, nodes numbered in order: their own names vary with torch's versions."""
    number = {node: f"%{index}" for index, node in enumerate(graph_module.graph.nodes)}
    for node in graph_module.graph.nodes:
        arguments = [_value_text(value, number, name) for value in node.args]
        arguments += [f"{key}={_value_text(node.kwargs[key], number, name)}" for key in sorted(node.kwargs)]
        if node.op == "placeholder":
            yield f"{number[node]} = input {inputs.get(str(node.target), '')}"
        elif node.op == "get_attr":
            yield from _attribute_lines(graph_module, node, number[node], name)
        else:
            yield f"{number[node]} = {node.op} {_target_text(node.target)}({', '.join(arguments)})"


def _attribute_lines(graph_module: GraphModule, node: Node, label: str, name: str) -> Iterator[str]:
    held: Any = graph_module
    for part in str(node.target).split("."):
        held = getattr(held, part)
    if isinstance(held, GraphModule):  # the body of a higher-order operation
        yield f"{label} = graph {{"
        yield from _graph_lines(held, {}, name)
        yield "}"
    else:
        yield f"{label} = constant {_tensor_text(held, name)}"


def _target_text(target: Any) -> str:
    if isinstance(target, (str, torch._ops.OpOverload)):
        return str(target)
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__name__', type(target).__name__)}"


def _value_text(value: Any, number: dict[Node, str], name: str) -> str:
    if isinstance(value, Node):
        return number[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value_text(inner, number, name) for inner in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_value_text(value[key], number, name)}' for key in sorted(value))}}}"
    if isinstance(value, slice):
        return f"slice{_value_text((value.start, value.stop, value.step), number, name)}"
    if value is None or isinstance(
        value, (bool, int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
    ):
        return repr(value)
    text = repr(value)
    if _ADDRESS.search(text):
        raise UsageError(f"the graph of {name} holds {text}, which has no canonical text; give program='TEXT'")
    return text


def _tensor_text(value: Any, name: str) -> str:
    if not isinstance(value, torch.Tensor):
        raise UsageError(f"{name} holds a constant {type(value).__name__}, expected tensors; give program='TEXT'")
    data = value.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{value.dtype} {tuple(value.shape)} sha256:{hashlib.sha256(data).hexdigest()}"
