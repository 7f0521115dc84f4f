"""Whether a foreign ONNX program may run: ``python -m hapistore.service.networks.onnx_check RULES``, confined.

Parsing takes many times a program's size where it was written to do so, and inferring shapes runs much of onnx's code
on it; so this runs in a process of its own, whose memory and time are bounded. It says on stdout, in JSON, why not, or
null.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import UsageError

_OPSETS = range(11, 26)
_DOMAINS = ("", "ai.onnx")
# Of the standard ones: what draws numbers, reads files' formats, or has values that are no arrays of numbers.
_REFUSED = {
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli",
    "ImageDecoder", "StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer",
}  # fmt: skip
_REFUSED_PREFIXES = ("Sequence", "Optional", "SplitToSequence", "ConcatFromSequence")
# TensorProto.DataType → bytes, and the field that holds such values where ``raw_data`` does not.
_TYPES = {
    1: (4, "float_data"), 2: (1, "int32_data"), 3: (1, "int32_data"), 4: (2, "int32_data"), 5: (2, "int32_data"),
    6: (4, "int32_data"), 7: (8, "int64_data"), 9: (1, "int32_data"), 10: (2, "int32_data"), 11: (8, "double_data"),
    12: (4, "uint64_data"), 13: (8, "uint64_data"), 16: (2, "int32_data"),
}  # fmt: skip
_TYPED_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
_FLOAT = 1
# AttributeProto.AttributeType: numbers, text, one tensor, and lists of the first two.
_PLAIN_ATTRIBUTES = {1, 2, 3, 4, 6, 7, 8}
# Larger initialisers are weights and decide no shape.
_SHAPE_BYTES = 4096
_MOST_DIMENSIONS = 16


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a program must keep to.

    Attributes:
        image_px: (height, width); feature_shape: of one image.
        max_value_bytes: of any value for one image; max_nodes: in all.
    """

    image_px: tuple[int, int]
    feature_shape: tuple[int, ...]
    max_value_bytes: int
    max_nodes: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def check_program(data: bytes, rules: Rules) -> None:
    """Check an ONNX program.

    Raises:
        UsageError: it is none, or breaks a rule; which, and where.
    """
    import onnx

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf has several implementations, each with errors of its own
        raise UsageError(f"the payload is no ONNX program: {error!s:.200}") from error
    _check_model(model)
    _check_nodes(onnx, model, rules)
    for tensor in model.graph.initializer:
        _check_tensor(tensor, f"initialiser {tensor.name!r:.80}")
    _check_input(model.graph, rules)
    _check_values(onnx, model, rules)


def _check_model(model: Any) -> None:
    graph = model.graph
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    foreign = [domain for domain in opsets if domain not in _DOMAINS]
    if foreign:
        raise UsageError(f"the program uses operators of {foreign[0]!r:.80}, expected standard operators only")
    if len(model.opset_import) != 1 or next(iter(opsets.values())) not in _OPSETS:
        versions = [entry.version for entry in model.opset_import][:4]
        raise UsageError(f"the program's opset is {versions}, expected one of {_OPSETS[0]} to {_OPSETS[-1]}")
    for what, found in (
        ("functions of its own", model.functions),
        ("training", model.training_info),
        ("sparse initialisers", graph.sparse_initializer),
    ):
        if len(found):
            raise UsageError(f"the program has {what}, expected plain operators and initialisers")


def _check_nodes(onnx: Any, model: Any, rules: Rules) -> None:
    graph, opset = model.graph, model.opset_import[0].version
    if not 1 <= len(graph.node) <= rules.max_nodes or len(graph.initializer) > rules.max_nodes:
        raise UsageError(
            f"the program has {len(graph.node):,} nodes and {len(graph.initializer):,} initialisers, "
            f"allowed are 1 to {rules.max_nodes:,}"
        )
    for place, node in enumerate(graph.node):
        where = f"node {place} ({node.op_type!r:.60})"
        if node.domain not in _DOMAINS:
            raise UsageError(f"{where} is of domain {node.domain!r:.80}, expected standard operators only")
        if not onnx.defs.has(node.op_type, opset, ""):
            raise UsageError(f"{where} is no standard operator of opset {opset}")
        if node.op_type in _REFUSED or node.op_type.startswith(_REFUSED_PREFIXES):
            raise UsageError(f"{where} is not run here: features are numbers that the image alone decides")
        for attribute in node.attribute:
            _check_attribute(attribute, where)


def _check_attribute(attribute: Any, where: str) -> None:
    if attribute.HasField("g") or len(attribute.graphs):
        raise UsageError(f"{where} has a program within, expected one that neither branches nor loops")
    others = attribute.HasField("sparse_tensor") or attribute.HasField("tp") or len(attribute.tensors)
    if attribute.type not in _PLAIN_ATTRIBUTES or others or attribute.ref_attr_name:
        raise UsageError(f"{where} has the attribute {attribute.name!r:.60}, expected numbers, text or one tensor")
    if attribute.HasField("t"):
        _check_tensor(attribute.t, f"{where}, attribute {attribute.name!r:.60}")


def _check_tensor(tensor: Any, where: str) -> None:
    """Its values are all there, in the program, and no more of them than its shape says."""
    if tensor.data_location or len(tensor.external_data) or tensor.HasField("segment"):
        raise UsageError(f"{where} lies in another file, expected its values in the program")
    if tensor.data_type not in _TYPES:
        raise UsageError(f"{where} has data type {tensor.data_type}, expected numbers")
    if len(tensor.dims) > _MOST_DIMENSIONS or any(side < 0 for side in tensor.dims):
        raise UsageError(f"{where} has the shape {list(tensor.dims)[:_MOST_DIMENSIONS]}")
    width, field = _TYPES[tensor.data_type]
    count = math.prod(tensor.dims)
    typed = {name: len(getattr(tensor, name)) for name in _TYPED_FIELDS if len(getattr(tensor, name))}
    raw = len(tensor.raw_data)
    found, expected = (typed.get(field, 0), count) if typed else (raw, count * width)
    if found != expected or len(typed) + bool(raw) > 1:
        unit = "values" if typed else "bytes"
        raise UsageError(f"{where} of shape {list(tensor.dims)} holds {found:,} {unit}, expected {expected:,}")


def _check_input(graph: Any, rules: Rules) -> None:
    """One input, float32 [n, 3, height, width], and one output."""
    if len(graph.input) != 1 or len(graph.output) != 1:
        raise UsageError(
            f"the program has {len(graph.input)} inputs and {len(graph.output)} outputs, expected one each"
        )
    tensor = graph.input[0].type.tensor_type
    dims = [side.dim_value if side.HasField("dim_value") else "n" for side in tensor.shape.dim]
    expected = ["n", 3, *rules.image_px]
    if tensor.elem_type != _FLOAT or dims != expected:
        found = f"of type {tensor.elem_type} and shape {dims[:8]}"
        raise UsageError(f"the program's input is {found}, expected 1 (float32) and {expected}, n of any size")


def _check_values(onnx: Any, model: Any, rules: Rules) -> None:
    """Every value's size for one image is known and bounded, and the output is of the shape that was said."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    _prepare_for_one(graph)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # of several types, and of C++
        raise UsageError(f"the program's shapes do not fit together: {_first_line(error)}") from error
    sizes = dict(_sizes(inferred.graph))
    for place, node in enumerate(graph.node):
        for name in filter(None, node.output):
            where = f"the output {name!r:.60} of node {place} ({node.op_type!r:.60})"
            if name not in sizes or name in constants:
                raise UsageError(f"the size of {where} cannot be told before it runs; make its shape a constant")
            if sizes[name] > rules.max_value_bytes:
                raise UsageError(
                    f"{where} takes {sizes[name]:,} bytes for one image, allowed are {rules.max_value_bytes:,}"
                )
    output = inferred.graph.output[0].type.tensor_type
    shape = [side.dim_value for side in output.shape.dim]
    if output.elem_type != _FLOAT or shape != [1, *rules.feature_shape]:
        raise UsageError(
            f"the program's output for one image is of type {output.elem_type} and shape {shape[:8]}, "
            f"expected 1 (float32) and {[1, *rules.feature_shape]}"
        )


def _prepare_for_one(graph: Any) -> None:
    """Fix the input to one image; nothing of what the sender says of values within is believed."""
    graph.input[0].type.tensor_type.shape.dim[0].Clear()
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph.output[0].type.tensor_type.ClearField("shape")
    graph.ClearField("value_info")
    for tensor in graph.initializer:
        if len(tensor.raw_data) > _SHAPE_BYTES:
            tensor.ClearField("raw_data")  # shapes need its own only, and inference copies the program


def _sizes(graph: Any) -> Iterator[tuple[str, int]]:
    """Bytes of each value whose type and shape are known."""
    for value in (*graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        sides = [side.dim_value if side.HasField("dim_value") else -1 for side in tensor.shape.dim]
        if tensor.HasField("shape") and tensor.elem_type in _TYPES and min(sides, default=0) >= 0:
            yield value.name, _TYPES[tensor.elem_type][0] * math.prod(sides)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _main(text: str) -> None:
    setup = json.loads(text)
    plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in setup["rules"].items()}
    rules = Rules(**plain)
    refused = None
    try:
        with open(f"/dev/fd/{setup['program']}", "rb") as file:
            check_program(file.read(), rules)
    except UsageError as error:
        refused = str(error)
    except MemoryError:
        refused = "looking at it takes too much memory"
    print(json.dumps({"refused": refused}))


if __name__ == "__main__":
    _main(sys.argv[1])
