"""Networks sent to do harm: each is refused in a line that says why, nothing is stored, and nothing of it runs."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
import torch

from hapistore.errors import UsageError
from hapistore.service.networks.intake import receive_network
from hapistore.service.networks.intake_limits import IntakeLimits
from hapistore.stores import MemoryStore

sys.path.insert(0, str(Path(__file__).parent))
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
foreign = import_module("foreign_programs")
header_for, means, model_of, node = foreign.header_for, foreign.means, foreign.model_of, foreign.node

pytestmark = pytest.mark.usefixtures("confinement")
LIMITS = IntakeLimits(allow_onnx=True, max_memory_bytes=256 << 20, max_seconds=120)


def refuse(payload: bytes, *, limits: IntakeLimits = LIMITS, **changed) -> str:
    """What is said of a payload that must be refused; the store stays empty."""
    store = MemoryStore()
    with pytest.raises(UsageError) as caught:
        receive_network(store, header_for(payload, **changed), payload, limits)
    assert list(store.list("")) == []
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 3000  # the names of torchvision's networks, where one of them was wanted
    return text


class Touching:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["weights", "onnx"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_never_loaded(tmp_path, kind, protocol):
    trap = tmp_path / "trap"
    assert "as a pickle" in refuse(pickle.dumps(Touching(trap), protocol), kind=kind)
    assert not trap.exists()


@pytest.mark.parametrize("kind", ["weights", "onnx"])
def test_an_archive_of_torch_save_is_never_loaded(tmp_path, kind):
    trap, file = tmp_path / "trap", io.BytesIO()
    torch.save({"weight": Touching(trap)}, file)
    assert "zip archive" in refuse(file.getvalue(), kind=kind)
    assert not trap.exists()


def trapped_archive(trap: Path) -> bytes:
    """An archive of torch.export whose sample inputs leave a file when they are unpickled."""
    plain, hostile, trapped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(3, 2), (torch.zeros(1, 3),)), plain)
    torch.save(Touching(trap), hostile)
    with zipfile.ZipFile(plain) as read, zipfile.ZipFile(trapped, "w") as written:
        for name in read.namelist():
            written.writestr(name, hostile.getvalue() if "sample_inputs" in name else read.read(name))
    return trapped.getvalue()


def test_an_archive_of_torch_export_is_never_loaded(tmp_path, environment):
    trap, path = tmp_path / "trap", tmp_path / "archive.pt2"
    path.write_bytes(trapped_archive(trap))
    for kind in ("weights", "onnx"):
        assert "torch.export" in refuse(path.read_bytes(), kind=kind)
    assert not trap.exists()
    load = [sys.executable, "-c", "import sys, torch; torch.export.load(sys.argv[1])", path]
    subprocess.run(load, env=environment, capture_output=True, timeout=120)
    assert trap.exists()  # so that it is a trap indeed


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "empty"), (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"), (b"\x1f\x8b" + bytes(64), "gzip"),
        (bytes(4) + b"ORTM" + bytes(64), "own format"),
    ],
)  # fmt: skip
def test_other_files_are_named(payload, words):
    assert words in refuse(payload)


def test_onnx_is_refused_unless_allowed():
    payload = model_of().SerializeToString()
    assert "--allow-onnx" in refuse(payload, limits=IntakeLimits())


PROGRAMS = {
    "external data": (lambda: model_of(initializers=[foreign.external("axes", "/etc/passwd")]), "another file"),
    "external data of a constant": (
        lambda: model_of([node("Constant", [], ["c"], value=foreign.external("v", "../x")), *means()]), "another file",
    ),
    "huge initialiser": (lambda: model_of(initializers=[foreign.ints("axes", 2, 3), foreign.huge_initializer()]),
                         "holds 4 bytes, expected 4,398,046,511,104"),
    "foreign domain": (lambda: model_of([helper_node("com.evil")], domains=("", "com.evil")), "standard operators"),
    "undeclared domain": (lambda: model_of([helper_node("com.microsoft")]), "standard operators"),
    "branch": (lambda: model_of([foreign.branch(), *means("chosen")]), "neither branches nor loops"),
    "random": (lambda: model_of([node("RandomNormalLike", ["images"], ["noise"]), *means("noise")]), "image alone"),
    "unknown operator": (lambda: model_of([node("Nonsense", ["images"], ["x"]), *means("x")]), "no standard operator"),
    "no nodes": (lambda: model_of([]), "0 nodes"),
    "many nodes": (
        lambda: model_of([*(node("Identity", ["images"], [f"v{i}"]) for i in range(20_001)), *means()]), "20,002 nodes",
    ),
    "other image": (lambda: model_of(image=("n", 3, 32, 32)), "expected 1 (float32) and ['n', 3, 16, 16]"),
    "fixed batch": (lambda: model_of(image=(1, 3, 16, 16)), "n of any size"),
    "bytes in": (lambda: model_of(image_type=2), "input is of type 2"),
    "old opset": (lambda: model_of(opset=7), "opset is [7]"),
    "size unknown": (
        lambda: model_of([node("NonZero", ["images"], ["where"]), node("Cast", ["where"], ["f"], to=1),
                          node("ReduceMean", ["f"], ["m"], keepdims=0), node("Add", ["images", "m"], ["s"]),
                          *means("s")]), "cannot be told before it runs",
    ),
    **{
        f"terabytes by {fill}": (lambda fill=fill: model_of(foreign.terabytes(fill), foreign.SIDES),
                                 "bytes for one image, allowed are 268,435,456")
        for fill in foreign.FILLS
    },
}  # fmt: skip


def helper_node(domain: str):
    return onnx.helper.make_node("Evil", ["images"], ["features"], domain=domain)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_that_break_a_rule(name):
    make, words = PROGRAMS[name]
    assert words in refuse(make().SerializeToString())


def test_another_shape_than_was_said():
    assert "output for one image" in refuse(model_of().SerializeToString(), shape=[4])


def test_functions_are_refused():
    model = model_of()
    model.functions.add(name="f", domain="mine")
    assert "functions of its own" in refuse(model.SerializeToString())


def test_bytes_cut_short_and_flipped():
    """Bytes that arrive damaged do not have the digest that was said; sent so, they are no program or another one."""
    payload = model_of().SerializeToString()
    store = MemoryStore()
    for damaged in (payload[:-7], payload[:40] + bytes([payload[40] ^ 1]) + payload[41:]):
        with pytest.raises(UsageError, match="arrived damaged"):
            receive_network(store, header_for(payload), damaged, LIMITS)
    assert "no ONNX program" in refuse(payload[:-7])
    assert list(store.list("")) == []


def test_messages_nested_without_end():
    """A graph in an attribute of a node of a graph, thousands deep, which a parser that recurses would die of."""

    def field(number: int, data: bytes) -> bytes:
        size, length = len(data), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    data = b""
    for _ in range(5_000):
        data = field(1, field(5, field(6, data)))
    assert "no ONNX program" in refuse(bytes([8, 9]) + field(7, data))


def test_empty_messages_by_the_million():
    """Two bytes each, and a hundred times that when parsed: the process that looks at them may die, this one not."""
    nodes = b"\x0a\x00" * (12 << 20)
    size, length = len(nodes), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    text = refuse(bytes([8, 9, 7 << 3 | 2]) + length + bytes([size]) + nodes)
    assert any(words in text for words in ("takes too much memory", "nodes", "no ONNX program", "opset"))


def test_too_large_a_payload():
    payload = model_of().SerializeToString()
    assert "allowed are 100 B" in refuse(payload, limits=IntakeLimits(allow_onnx=True, max_bytes=100))


def test_features_that_depend_on_the_batch():
    nodes = [node("ReduceMax", ["images"], ["largest"], keepdims=0), node("Add", ["images", "largest"], ["s"])]
    assert "depend on the others" in refuse(model_of([*nodes, *means("s")]).SerializeToString())


def test_features_that_are_not_finite():
    nodes = [node("Sub", ["images", "images"], ["z"]), node("Div", ["z", "z"], ["nan"])]
    assert "not finite" in refuse(model_of([*nodes, *means("nan")]).SerializeToString())


def test_weights_that_are_none_of_the_network(tmp_path):
    """Safetensors, and of something else."""
    from safetensors.torch import save

    said = {"kind": "weights", "architecture": "efficientnet_lite0", "cut": "pool", "shape": [1280]}
    assert "do not fit" in refuse(save({"w": torch.zeros(2)}), **said)
    payload = bytearray(save({"w": torch.zeros(2)}))
    payload[payload.index(b"[0,8]") + 3] = ord("9")
    assert "outside the file" in refuse(bytes(payload), **said)


@pytest.mark.parametrize(
    "architecture",
    ["transformers/..", "../../etc", "timm/../x", "/etc/passwd", "timm/hf-hub:evil/model", "transformers/evil/model",
     "", "a" * 200, "torchvision/no-such", "timm/no-such", "mynet", "torchvision/", "x\ny"],
)  # fmt: skip
def test_architectures_that_are_not_rebuilt(architecture):
    from safetensors.torch import save

    refuse(save({"w": torch.zeros(2)}), kind="weights", architecture=architecture)


HEADERS = {
    "kind": ["pickle", None, 1, ["onnx"]],
    "architecture": ["../up", "a\0b", 3, None, "x" * 129],
    "cut": ["a b", "", {}, "x" * 600],
    "precision": ["f64", "bf16", True],
    "weights_name": ["a\nb", "x" * 201, 7],
    "shape": [[], [0], [-3], [True], [3.0], "3", [1] * 5, [1 << 30, 1 << 30], {}],
    "sha256": ["", "A" * 64, None, 5],
    "preprocess": [
        None, {}, [],
        *({**foreign.PREPROCESS, **change} for change in (
            {"crop_px": [1 << 20, 16]}, {"crop_px": [16]}, {"crop_px": [True, 16]}, {"crop_px": 16}, {"more": 1},
            {"resize_px": 1 << 30}, {"resize_px": 0}, {"resize_px": 1.5}, {"resize_px": "16"},
            {"mean_levels": [float("nan")] * 3}, {"mean_levels": [1.0] * 2}, {"mean_levels": ["1", "1", "1"]},
            {"std_levels": [0.0] * 3}, {"std_levels": [float("inf")] * 3}, {"std_levels": [1e300] * 3},
            {"interpolation": "magic"}, {"interpolation": ["bilinear"]}, {"decoder": "pickle"}, {"decoder": {}},
        )),
    ],
}  # fmt: skip


@pytest.mark.parametrize("field", HEADERS)
def test_headers_that_are_refused(field):
    payload = model_of().SerializeToString()
    for value in HEADERS[field]:
        refuse(payload, **{field: value})
    lacking = header_for(payload)
    del lacking[field]
    with pytest.raises(UsageError, match=field):
        receive_network(MemoryStore(), lacking, payload, LIMITS)


def test_a_program_that_takes_more_than_it_may():
    """Every value is small enough, all of them together are not."""
    side = 1 << 13
    sizes = foreign.ints("sides", side, side // 2)
    nodes = [node("ReduceMax", ["images"], ["m"], keepdims=0)]
    for number in range(64):
        nodes += [node("Expand", [f"m{number - 1}" if number else "m", "sides"], [f"wide{number}"])]
        nodes += [node("ReduceMax", [f"wide{number}"], [f"m{number}"], keepdims=0)]
    total = [f"wide{number}" for number in range(64)]
    nodes += [node("Max", total, ["all"]), node("ReduceMax", ["all"], ["most"], keepdims=0)]
    nodes += [node("Add", ["images", "most"], ["s"]), *means("s")]
    text = refuse(model_of(nodes, [foreign.ints("axes", 2, 3), sizes]).SerializeToString())
    assert "does not run within its bounds" in text
