"""Recurrent operators whose weights are stored in fewer bits than they compute with, and those on integers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeort.model.recurrence import DYNAMIC

_HIDDEN = 5
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent() -> onnx.ModelProto:
    """x [T, N, 6] -> y [T, N, 5]: an LSTM of 8 bits with zero points, a GRU of 4 bits, an RNN of float16."""
    rng = np.random.default_rng(0)
    tensors: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def weights(name: str, dtype: str, rows: int, columns: int) -> str:
        if dtype == "FLOAT16":
            halves = (rng.standard_normal((1, rows, columns)) / 8).astype(np.float16)
            tensors.append(numpy_helper.from_array(halves, f"{name}_h"))
            nodes.append(helper.make_node("Cast", [f"{name}_h"], [name], to=TensorProto.FLOAT))
            return name
        code, low, high = getattr(TensorProto, dtype), *((0, 256) if dtype == "UINT8" else (-8, 8))
        q, z = rng.integers(low, high, (1, rows, columns)), rng.integers(low, high, rows)
        tensors.append(helper.make_tensor(f"{name}_q", code, q.shape, q.reshape(-1)))
        tensors.append(numpy_helper.from_array(np.full(rows, 0.5 / (high - low), np.float32), f"{name}_s"))
        tensors.append(helper.make_tensor(f"{name}_z", code, z.shape, z))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_s", f"{name}_z"], [name], axis=1))
        return name

    tensors.append(numpy_helper.from_array(np.array([1], np.int64), "direction"))
    x, inputs = "x", 6
    for op, dtype in (("LSTM", "UINT8"), ("GRU", "INT4"), ("RNN", "FLOAT16")):
        rows = _GATES[op] * _HIDDEN
        w, r = weights(f"{op}_w", dtype, rows, inputs), weights(f"{op}_r", dtype, rows, _HIDDEN)
        nodes.append(helper.make_node(op, [x, w, r], [f"{op}_all"], hidden_size=_HIDDEN))
        x, inputs = "y" if op == "RNN" else f"{op}_y", _HIDDEN
        nodes.append(helper.make_node("Squeeze", [f"{op}_all", "direction"], [x]))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["T", "N", k]) for n, k in (("x", 6), ("y", _HIDDEN))]
    graph = helper.make_graph(nodes, "recurrent", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def recurrent_integers() -> onnx.ModelProto:
    """x [T, N, 6] -> y [T, N, 5]: an LSTM, a GRU and an RNN that round their input and state; some weights are -128."""
    rng, tensors, nodes = np.random.default_rng(0), list[onnx.TensorProto](), list[onnx.NodeProto]()
    tensors.append(numpy_helper.from_array(np.array([1], np.int64), "direction"))
    x, inputs = "x", 6
    for op, gates in _GATES.items():
        rows = gates * _HIDDEN
        for name, columns in (("w", inputs), ("r", _HIDDEN)):
            q = rng.integers(-128, 128, (1, rows, columns)).astype(np.int8)
            scales = np.full(rows, 2.0**-9, np.float32)
            tensors += [numpy_helper.from_array(a, f"{op}_{name}_{s}") for a, s in ((q, "q"), (scales, "s"))]
            stored = [f"{op}_{name}_q", f"{op}_{name}_s"]
            nodes.append(helper.make_node("DequantizeLinear", stored, [f"{op}_{name}"], axis=1))
        cell = helper.make_node(op, [x, f"{op}_w", f"{op}_r"], [f"{op}_all"], hidden_size=_HIDDEN)
        cell.metadata_props.add(key=DYNAMIC, value="1")
        x, inputs = "y" if op == "RNN" else f"{op}_y", _HIDDEN
        nodes += [cell, helper.make_node("Squeeze", [f"{op}_all", "direction"], [x])]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["T", "N", k]) for n, k in (("x", 6), ("y", _HIDDEN))]
    graph = helper.make_graph(nodes, "recurrent_integers", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def recurrent_batch() -> list[np.ndarray]:
    """So many steps that the state's weights are widened, and rows that those of the input are."""
    return [np.random.default_rng(1).standard_normal((9, 5, 6)).astype(np.float32)]
