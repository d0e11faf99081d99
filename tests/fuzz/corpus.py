"""Valid plans that together call every kernel, lowered from the ONNX project's node tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeort import lowering, model
from edgeort.bundle.golden import npy_bytes
from edgeort.lowering import layout
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.storage import texts
from edgeort.passes import PassContext, run_passes
from tests.onnx_node.runner import array_of, cases, passing

PLANS_AN_OPERATOR = 5
UNFED = "_unfed"  # a plan whose inputs are sequences


def lowered(proto: onnx.ModelProto, folder: Path) -> PlanBuilder:
    """The plan of a model, through the whole pipeline."""
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return lowered_file(path)


def lowered_file(path: Path) -> PlanBuilder:
    """The plan of the model in a file."""
    graph = model.clean(model.load(path))
    run_passes(graph, PassContext())
    return lowering.lower(graph)


def node_test_plans(folder: Path, each: int = PLANS_AN_OPERATOR) -> list[Path]:
    """Plans of node tests that pass, up to `each` for every kernel, written to `folder`."""
    seen: Counter[str] = Counter()
    plans = []
    wanted = set(passing())
    for case in cases():
        if case.name not in wanted:
            continue
        proto = case.model
        operators = {node.op_type for node in proto.graph.node}
        if all(seen[f"onnx {operator}"] >= 2 * each for operator in operators):
            continue  # cheaper than lowering it to find out
        plan = lowered(proto, folder)
        seen.update(f"onnx {operator}" for operator in operators)
        if any(seen[op] < each for op in plan.ops):
            seen.update(plan.ops)
            arrays = dict(zip((value.name for value in proto.graph.input), case.data_sets[0][0], strict=True))
            given = [arrays[plan.tensors[index].name] for index in plan.inputs]
            nested = any(plan.tensors[index].dtype == layout.TENSOR_CODE for index in plan.inputs)  # optional ones, too
            fed = not nested and not any(value is None or isinstance(value, list) for value in given)
            plans.append(folder / (f"{case.name}.plan" if fed else f"{case.name}{UNFED}.plan"))
            plans[-1].write_bytes(plan.to_bytes())
            if fed:
                write_inputs(plans[-1], [array_of(value) for value in given])
    return plans


def write_inputs(plan: Path, arrays: Sequence[np.ndarray]) -> None:
    """For plan_fuzz in PLAN.inputs, for the harness in PLAN.npy/input0.npy, ..."""
    stored = [(a.shape, texts(a) if a.dtype == object else a) for a in arrays]
    packed = b"".join(np.array([len(s), *s, a.nbytes], "<u8").tobytes() + a.tobytes() for s, a in stored)
    Path(f"{plan}.inputs").write_bytes(packed)
    folder = Path(f"{plan}.npy")
    folder.mkdir()
    for index, array in enumerate(arrays):
        known = array.dtype.isbuiltin == 1  # to .npy files; others are stored as their bits
        kept = array if known else array.view(f"u{array.dtype.itemsize}")
        (folder / f"input{index}.npy").write_bytes(npy_bytes(kept))


def chain() -> onnx.ModelProto:
    """Convolutions and a pool whose inner tensors are wide enough to run as row streams, with a residual."""
    rng = np.random.default_rng(0)
    sizes: dict[str, Sequence[int]] = {
        "w0": (8, 3, 3, 3), "w1": (48, 8, 1, 1), "w2": (48, 1, 3, 3), "w3": (8, 48, 1, 1), "w4": (40, 8, 5, 5),
    }  # fmt: skip
    constants = [numpy_helper.from_array((rng.standard_normal(s) / 4).astype(np.float32), n) for n, s in sizes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w1"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "w2"], ["d"], pads=[1, 1, 1, 1], group=48),
        helper.make_node("Conv", ["d", "w3"], ["e"]),
        helper.make_node("Add", ["e", "a"], ["f"]),
        helper.make_node("Conv", ["f", "w4"], ["g"], pads=[2, 2, 2, 2]),
        helper.make_node("MaxPool", ["g"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 31, 33])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "chain", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


# Layers that are streams by themselves: the kernel's size, and attributes.
ROLLED: tuple[tuple[str, int, dict[str, list[int]]], ...] = (
    ("Conv", 5, {"pads": [2] * 4}),
    ("MaxPool", 3, {"pads": [1] * 4}),
    ("Conv", 3, {"pads": [1] * 4, "strides": [2, 2]}),
    ("AveragePool", 3, {"pads": [1] * 4}),
    ("Conv", 3, {"pads": [2] * 4, "dilations": [2, 2]}),
)


def rolling(layers: Sequence[tuple[str, int, dict[str, list[int]]]] = ROLLED) -> onnx.ModelProto:
    """Depthwise layers and pools whose results lie over what they read, but not where it lies."""
    rng = np.random.default_rng(0)
    nodes, constants, value = [helper.make_node("Relu", ["x"], ["r"])], [], "r"
    for i, (op, size, attributes) in enumerate(layers):
        inputs, value = [value], f"y{i}"
        if op == "Conv":
            inputs, attributes = [*inputs, f"w{i}"], attributes | {"group": 20}
            w = rng.standard_normal((20, 1, size, size)) / 4
            constants.append(numpy_helper.from_array(w.astype(np.float32), f"w{i}"))
        nodes.append(helper.make_node(op, inputs, [value], kernel_shape=[size, size], **attributes))
    nodes.append(helper.make_node("Sigmoid", [value], ["y"]))
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 20, 28, 27])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "rolling", given, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def winograd() -> onnx.ModelProto:
    """A 7x7 first layer and Winograd convolutions of both strides, of free sizes; channels fill no vector."""
    rng = np.random.default_rng(0)
    sizes: dict[str, Sequence[int]] = {
        "ws": (43, 3, 7, 7), "w0": (50, 43, 3, 3), "w1": (66, 50, 3, 3), "w2": (43, 66, 1, 1),
    }  # fmt: skip
    constants = [numpy_helper.from_array((rng.standard_normal(s) / 8).astype(np.float32), n) for n, s in sizes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "ws"], ["s"], pads=[3, 3, 3, 3], strides=[2, 2]),
        helper.make_node("Conv", ["s", "w0"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Sigmoid", ["c"], ["d"]),
        helper.make_node("Mul", ["c", "d"], ["e"]),
        helper.make_node("Conv", ["e", "w2"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "winograd", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def sparse() -> onnx.ModelProto:
    """Products by weights of which one in eight is not zero, one in a row stream; a 3x3 layer that is widened."""
    rng = np.random.default_rng(0)
    sizes: dict[str, Sequence[int]] = {
        "w0": (32, 3, 3, 3), "w1": (130, 32, 1, 1), "wd": (130, 1, 3, 3), "w2": (32, 130, 1, 1), "w3": (32, 32, 3, 3),
        "w4": (32, 75),
    }  # fmt: skip
    constants = []
    for name, shape in sizes.items():
        array = rng.standard_normal(shape).astype(np.float32) / 4
        held = rng.random(shape) < (1.0 if name in ("w0", "wd") else 0.125)
        constants.append(numpy_helper.from_array(np.where(held, array, 0).astype(np.float32), name))
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Conv", ["a", "w1"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "wd"], ["d"], pads=[1, 1, 1, 1], group=130),
        helper.make_node("Conv", ["d", "w2"], ["e"]),
        helper.make_node("Add", ["e", "a"], ["f"]),
        helper.make_node("Conv", ["f", "w3"], ["g"], pads=[1, 1, 1, 1], dilations=[1, 1]),
        helper.make_node("Transpose", ["g"], ["h"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["h", "w4"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "sparse", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def network() -> onnx.ModelProto:
    """A small image network with free sizes: convolutions of all kinds, epilogues, branches, views."""
    rng = np.random.default_rng(0)
    sizes: dict[str, Sequence[int]] = {
        "w1": (19, 3, 3, 3), "b1": (19,), "wd": (19, 1, 5, 5), "wp": (32, 19, 1, 1),
        "wg": (32, 8, 3, 3), "wt": (32, 7, 3, 3), "wu": (7, 7, 2, 2), "wf": (14, 21),
    }  # fmt: skip
    constants = [numpy_helper.from_array((rng.standard_normal(s) / 4).astype(np.float32), n) for n, s in sizes.items()]
    constants.append(numpy_helper.from_array(np.array([0, -1], np.int64), "flat"))
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("HardSwish", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "wd"], ["c"], pads=[2, 2, 2, 2], group=19),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Add", ["b", "d"], ["e"]),
        helper.make_node("Conv", ["e", "wp"], ["f"]),
        helper.make_node("Sigmoid", ["f"], ["g"]),
        helper.make_node("Mul", ["f", "g"], ["h"]),
        helper.make_node("Conv", ["h", "wg"], ["q"], pads=[1, 1, 1, 1], group=4),
        helper.make_node("Conv", ["q", "wg"], ["i"], pads=[1, 1, 1, 1], group=4),  # h waits for it
        helper.make_node("Add", ["i", "h"], ["j"]),
        helper.make_node("ConvTranspose", ["j", "wt"], ["k"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
        helper.make_node("ConvTranspose", ["k", "wu"], ["r"], strides=[2, 2]),
        helper.make_node("Sigmoid", ["r"], ["s"]),
        helper.make_node("MaxPool", ["s"], ["l"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Concat", ["l", "l"], ["m"], axis=1),
        helper.make_node("GlobalAveragePool", ["m"], ["n"]),
        helper.make_node("Reshape", ["n", "flat"], ["o"]),
        helper.make_node("MatMul", ["o", "wf"], ["p"]),
        helper.make_node("Tanh", ["p"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 21])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def transformer() -> onnx.ModelProto:
    """A block of a transformer with free sizes: attention with a mask over a common projection, norms, a GELU."""
    text = """<ir_version: 9, opset_import: ["": 20]> transformer (float[N,R,21] x, float[R] mask) => (float[N,R,21] y)
      <int64[5] heads = {0,0,3,3,7}, int64[3] joined = {0,0,21}, int64 i0 = {0}, int64 i1 = {1}, int64 i2 = {2},
       float s = {0.3}> {
      n1 = LayerNormalization <axis = -1> (x, ones, zeros) p = MatMul (n1, w1) h = Reshape (p, heads)
      t = Transpose <perm = [2,0,3,1,4]> (h)
      q = Gather <axis = 0> (t, i0) k = Gather <axis = 0> (t, i1) v = Gather <axis = 0> (t, i2)
      kt = Transpose <perm = [0,1,3,2]> (k) a = MatMul (q, kt) b = Mul (a, s) c = Add (b, mask)
      d = Softmax <axis = -1> (c) o = MatMul (d, v) f = Transpose <perm = [0,2,1,3]> (o) g = Reshape (f, joined)
      i = MatMul (g, w2) j = Add (x, i)
      n2 = LayerNormalization <axis = -1> (j, ones, zeros) l = MatMul (n2, w3) m = Gelu (l) u = MatMul (m, w4)
      y = Add (j, u) }"""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    weights = {"w1": (21, 63), "w2": (21, 21), "w3": (21, 50), "w4": (50, 21)}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) / 4 for name, shape in weights.items()}
    arrays |= {"ones": np.ones(21, np.float32), "zeros": np.zeros(21, np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


def transformer_inputs() -> list[np.ndarray]:
    """A batch of two sequences, and a mask that hides the last of their positions."""
    x = np.random.default_rng(1).standard_normal((2, 9, 21)).astype(np.float32)
    return [x, np.array([0] * 8 + [-10000], np.float32)]
