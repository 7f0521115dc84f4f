"""ONNX programs as others may write them, made by hand: no torch, no exporter."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 16
PREPROCESS = {
    "resize_px": SIDE,
    "crop_px": [SIDE, SIDE],
    "interpolation": "bilinear",
    "mean_levels": [127.0, 127.0, 127.0],
    "std_levels": [64.0, 64.0, 64.0],
    "decoder": "pillow",
}


def node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(op, inputs, outputs, **attributes)


def ints(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model_of(
    nodes: list[Any] | None = None,
    initializers: list[Any] | None = None,
    *,
    image: tuple[Any, ...] = ("n", 3, SIDE, SIDE),
    image_type: int = TensorProto.FLOAT,
    shape: tuple[int, ...] = (3,),
    domains: tuple[str, ...] = ("",),
    opset: int = 18,
) -> Any:
    """The mean of each channel, unless other nodes are given; its output is ``features``."""
    graph = helper.make_graph(
        means() if nodes is None else nodes,
        "foreign",
        [helper.make_tensor_value_info("images", image_type, image)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ("n", *shape))],
        [ints("axes", 2, 3)] if initializers is None else initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(d, opset) for d in domains], ir_version=9)


def means(source: str = "images") -> list[Any]:
    return [node("ReduceMean", [source, "axes"], ["features"], keepdims=0)]


def header_for(payload: bytes, **changed: Any) -> dict[str, Any]:
    return {
        "kind": "onnx",
        "architecture": "theirs/means",
        "cut": "output",
        "preprocess": dict(PREPROCESS),
        "precision": "f32",
        "weights_name": "none",
        "shape": [3],
        "sha256": hashlib.sha256(payload).hexdigest(),
        **changed,
    }


def huge_initializer() -> Any:
    """Terabytes by its shape, four bytes of data."""
    tensor = onnx.TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 20])
    tensor.raw_data = bytes(4)
    return tensor


def external(name: str, place: str) -> Any:
    """Values that lie in another file."""
    tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    return tensor


def branch() -> Any:
    """``If`` with two programs within."""
    inner = helper.make_graph(
        [node("Identity", ["images"], ["inner"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, ("n", 3, SIDE, SIDE))],
    )
    return node("If", ["truth"], ["chosen"], then_branch=inner, else_branch=inner)


def terabytes(fill: str) -> list[Any]:
    """Nodes that blow a few bytes up, by one of several operators."""
    blown = {
        "ConstantOfShape": [node("ConstantOfShape", ["sides"], ["blown"])],
        "Expand": [node("Expand", ["one", "sides"], ["blown"])],
        "Tile": [node("ConstantOfShape", ["ones"], ["tile"]), node("Tile", ["tile", "sides"], ["blown"])],
        "Range": [node("Range", ["zero", "many", "step"], ["blown"])],
        "Resize": [node("Resize", ["images", "", "", "resized"], ["blown"])],
        "Pad": [node("Pad", ["images", "pads"], ["blown"])],
    }[fill]
    return [*blown, node("ReduceMax", ["blown"], ["largest"], keepdims=0), node("Cast", ["largest"], ["float"], to=1),
            node("Add", ["images", "float"], ["sum"]), *means("sum")]  # fmt: skip


FILLS = ("ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Pad")
SIDES = [
    ints("axes", 2, 3), ints("sides", 1 << 20, 1 << 20), ints("ones", 1, 1), ints("resized", 1, 3, 1 << 20, 1 << 20),
    ints("pads", 0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0),
    *(numpy_helper.from_array(np.array(number, np.int64), name)
      for name, number in (("zero", 0), ("many", 1 << 42), ("step", 1))),
    numpy_helper.from_array(np.array(1, np.float32), "one"),
]  # fmt: skip
