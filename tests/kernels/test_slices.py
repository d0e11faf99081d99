"""Slices: Concat and Split along channels copy nothing where kernels can write, and read, columns of a wider tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.kernels.support import engine, parse, reference, run_everywhere, same_bits

RNG = np.random.default_rng(5)


class Graph:
    """A graph of [1, c, 23, 19] images under construction; values are named."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: Sequence[str], out: str | Sequence[str], **attributes: object) -> str:
        outs = [out] if isinstance(out, str) else list(out)
        self.nodes.append(helper.make_node(op, inputs, outs, name=f"{op}:{outs[0]}", **attributes))
        return outs[0]

    def constant(self, array: np.ndarray) -> str:
        name = f"k{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(array, name))
        return name

    def conv(self, x: str, c_in: int, c_out: int, kernel: int, out: str, *, group: int = 1) -> str:
        w = RNG.standard_normal((c_out, c_in // group, kernel, kernel)).astype(np.float32) / kernel
        b = RNG.standard_normal(c_out).astype(np.float32)
        operands = [x, self.constant(w), self.constant(b)]
        self.add("Conv", operands, f"{out}_", pads=[kernel // 2] * 4, group=group)
        return self.add("Relu", [f"{out}_"], out)

    def split(self, x: str, outs: Sequence[str], sizes: Sequence[int]) -> None:
        self.add("Split", [x, self.constant(np.array(sizes, np.int64))], outs, axis=1)

    def model(self, x: str, channels: int, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(x, onnx.TensorProto.FLOAT, [1, channels, 23, 19])],
            [helper.make_tensor_value_info(y, onnx.TensorProto.FLOAT, None) for y in outputs],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def bottleneck(kernel: int = 5) -> Graph:
    """YOLO's C2f: a convolution is split, one half goes on with a residual, and all of it is joined again."""
    g = Graph()
    g.conv("x", 5, 75, 1, "c")
    g.split("c", ["a", "b"], [11, 64])
    g.conv("b", 64, 64, kernel, "m")
    g.add("Add", ["m", "b"], "r")
    g.add("Concat", ["a", "b", "r"], "j", axis=1)
    g.conv("j", 139, 6, 1, "y")
    return g


def winograd() -> Graph:
    """The same with a Winograd convolution."""
    return bottleneck(kernel=3)


def pyramid() -> Graph:
    """SPPF: pools of pools beside what they read."""
    g = Graph()
    g.conv("x", 5, 17, 1, "p0")
    for i in range(3):
        g.add("MaxPool", [f"p{i}"], f"p{i + 1}", kernel_shape=[5, 5], pads=[2] * 4)
    g.add("Concat", ["p0", "p1", "p2", "p3"], "j", axis=1)
    g.conv("j", 68, 6, 1, "y")
    return g


def dense() -> Graph:
    """DenseNet: each layer's result is joined to all before it."""
    g = Graph()
    g.conv("x", 5, 64, 5, "d0")
    for i in range(3):
        g.conv(f"d{i}", 64 + 7 * i, 7, 5, f"n{i}")
        g.add("Concat", [f"d{i}", f"n{i}"], f"d{i + 1}", axis=1)
    g.conv("d3", 85, 6, 1, "y")
    return g


def shuffled() -> Graph:
    """Halves that come back in the other order cannot stay where they are."""
    g = Graph()
    g.conv("x", 5, 24, 1, "c")
    g.split("c", ["a", "b"], [11, 13])
    g.add("Concat", ["b", "a"], "j", axis=1)
    g.conv("j", 24, 6, 3, "y")
    return g


def twice() -> Graph:
    """The same tensor on both sides: one of them is a copy."""
    g = Graph()
    g.conv("x", 5, 8, 1, "c")
    g.add("Concat", ["c", "c"], "j", axis=1)
    g.conv("j", 16, 6, 3, "y")
    return g


def depthwise() -> Graph:
    """Depthwise layers on slices, and a slice that a result of the graph is made from."""
    g = Graph()
    g.conv("x", 5, 16, 1, "c")
    g.split("c", ["a", "b"], [8, 8])
    g.conv("b", 8, 8, 3, "m", group=8)
    g.add("Concat", ["m", "a"], "y", axis=1)
    return g


def feature_pyramid() -> Graph:
    """Levels that are resized or scaled to one size, and joined."""
    g = Graph()
    g.conv("x", 5, 13, 1, "c")
    g.add("MaxPool", ["c"], "half", kernel_shape=[3, 3], strides=[2, 2])
    sizes = g.constant(np.array([1, 13, 23, 19], np.int64))
    g.add("Resize", ["half", "", "", sizes], "a", mode="nearest")
    g.add("GlobalAveragePool", ["c"], "m")
    g.add("Mul", ["c", "m"], "b")
    g.add("Concat", ["a", "b"], "j", axis=1)
    g.conv("j", 26, 6, 1, "y")
    return g


def gated() -> Graph:
    """GLU: one half of a convolution scales the other, and the result goes on beside a resized slice."""
    g = Graph()
    g.conv("x", 5, 24, 1, "c")
    g.split("c", ["a", "b"], [12, 12])
    g.add("Sigmoid", ["b"], "s")
    g.add("Mul", ["a", "s"], "m")
    g.add("Resize", ["a", "", g.constant(np.array([1, 1, 1, 2], np.float32))], "u", mode="nearest")
    g.add("MaxPool", ["u"], "d", kernel_shape=[1, 2], strides=[1, 2])
    g.add("Concat", ["m", "d"], "j", axis=1)
    g.conv("j", 24, 6, 1, "y")
    return g


GRAPHS = {
    f.__name__: f for f in (bottleneck, winograd, pyramid, dense, shuffled, twice, depthwise, feature_pyramid, gated)
}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_result_is_that_of_copies(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]()
    model, x = graph.model("x", 5, "y"), RNG.standard_normal((1, 5, 23, 19)).astype(np.float32)
    (ours,) = run_everywhere(model, [x], tmp_path)
    want = reference(model, [x])[0]
    assert np.abs(ours - want).max() < 1e-5 * np.abs(want).max()
    # An output of the graph is no slice: when all parts are outputs, everything is copied.
    parts = {part for node in graph.nodes if node.op_type == "Concat" for part in node.input}
    parts |= {part for node in graph.nodes if node.op_type == "Split" for part in node.output}
    assert same_bits(engine(graph.model("x", 5, "y", *sorted(parts)), tmp_path).run([x])[0], ours)


@pytest.mark.parametrize(
    ("name", "copied"),
    [
        ("bottleneck", 0),
        ("winograd", 0),
        ("pyramid", 0),
        ("dense", 0),
        ("twice", 1),
        ("feature_pyramid", 0),
        ("gated", 0),
    ],
)
def test_what_need_not_be_copied_is_not(name: str, copied: int, tmp_path: Path) -> None:
    ours = engine(GRAPHS[name]().model("x", 5, "y"), tmp_path)
    ours.run([RNG.standard_normal((1, 5, 23, 19)).astype(np.float32)])
    joins = [node for node in ours.nodes if node.op in ("Concat", "Split")]
    assert joins and sum(not node.skipped for node in joins) == copied


def test_a_view_shows_no_slice(tmp_path: Path) -> None:
    """A Split of one output is a view of its input, which then cannot be columns of the Concat's result."""
    g = Graph()
    g.conv("x", 5, 80, 1, "c")
    g.split("c", ["v"], [80])
    g.conv("x", 5, 16, 1, "b")
    g.add("Concat", ["b", "c"], "j", axis=1)
    g.conv("j", 96, 6, 1, "y")
    g.conv("v", 80, 6, 3, "z")
    model, x = g.model("x", 5, "y", "z"), RNG.standard_normal((1, 5, 23, 19)).astype(np.float32)
    for ours, want in zip(run_everywhere(model, [x], tmp_path), reference(model, [x]), strict=True):
        assert np.abs(ours - want).max() < 1e-5 * np.abs(want).max()


def test_what_lies_outside_a_crop_is_no_slice(tmp_path: Path) -> None:
    constants = {"sizes": np.array([1, 7, 9, 8]), "roi": np.array([0, 0.3, -0.4, 0, 1, 1.2, 0.9, 1], np.float32)}

    def run(outputs: str) -> np.ndarray:
        text = f"""g (float[1,7,9,8] x) => (float[1,7,9,16] y{outputs}) {{
            c = Resize <mode = "nearest", coordinate_transformation_mode = "tf_crop_and_resize",
                        extrapolation_value = 3.0> (x, roi, , sizes)
            r = Relu (x) j = Concat <axis = 3> (r, c) y = Exp (j) }}"""
        return engine(parse(text, constants), tmp_path).run([x])[0]

    x = RNG.standard_normal((1, 7, 9, 8)).astype(np.float32)
    assert same_bits(run(""), run(", float[1,7,9,8] c"))


def test_slices_of_one_column(tmp_path: Path) -> None:
    """Their values are no neighbours: functions of one and of two, beside a constant of each row."""
    text = """g (float[700,9] x) => (float[700,1] a, float[700,1] b, float[700,7] c, float[700,1] d) {
        h = Relu (x) l, m, r = Split <axis = 1> (h, sizes)
        a = Sigmoid (l) b = Sub (l, r) c = Exp (m) d = Mul (r, column) }"""
    constants = {"sizes": np.array([1, 7, 1]), "column": RNG.standard_normal((700, 1)).astype(np.float32)}
    model, x = parse(text, constants), RNG.standard_normal((700, 9)).astype(np.float32)
    ours = engine(model, tmp_path)
    ours.run([x])
    assert [node.skipped for node in ours.nodes if node.op == "Split"] == [True]
    for found, want in zip(run_everywhere(model, [x], tmp_path), reference(model, [x]), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
