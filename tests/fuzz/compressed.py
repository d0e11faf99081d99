"""A small network whose weights are stored in fewer bits than it computes with."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_LEAST = {"INT4": -8, "UINT4": 0, "INT8": -128, "UINT8": 0}


def compressed() -> onnx.ModelProto:
    """x [N, 20, H, W] -> y [N, 20, H, W], z [N, 12], e [4, 20]: products by each form, and rows of tables."""
    rng = np.random.default_rng(0)
    tensors: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def halves(name: str, *shape: int) -> str:
        tensors.append(numpy_helper.from_array((rng.standard_normal(shape) / 8).astype(np.float16), f"{name}_h"))
        nodes.append(helper.make_node("Cast", [f"{name}_h"], [name], to=TensorProto.FLOAT))
        return name

    def integers(name: str, dtype: str, axis: int, *shape: int, block: int = 0, zeros: bool = False) -> str:
        size, least = [shape[axis]], _LEAST[dtype]
        if block:
            size = [-(-dim // block) if at == axis else dim for at, dim in enumerate(shape)]
        span = 16 if "4" in dtype else 256
        code = getattr(TensorProto, dtype)
        q, z = (rng.integers(least, least + span, dims) for dims in (shape, size))
        scale = (rng.uniform(0.5, 1, size) / span).astype(np.float32)
        tensors.append(helper.make_tensor(f"{name}_q", code, shape, q.reshape(-1)))
        tensors.append(numpy_helper.from_array(scale, f"{name}_s"))
        if zeros:
            tensors.append(helper.make_tensor(f"{name}_z", code, size, z.reshape(-1)))
        parts = [f"{name}_{part}" for part in ("q", "s", "z")[: 3 if zeros else 2]]
        attributes = {"axis": axis} | ({"block_size": block} if block else {})
        nodes.append(helper.make_node("DequantizeLinear", parts, [name], **attributes))
        return name

    def add(op: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    a = add("Conv", ["x", integers("w0", "INT8", 0, 34, 10, 3, 3)], "a", group=2, dilations=[2, 1], pads=[2, 1, 2, 1])
    b = add("Conv", [add("Relu", [a], "r"), halves("w1", 20, 34, 1, 1)], "b")
    add("Add", [b, "x"], "y")
    add("Flatten", [add("GlobalAveragePool", ["y"], "mean")], "f")
    c = add("MatMul", ["f", integers("w2", "INT4", 0, 20, 70, block=16)], "c")
    d = add("MatMul", [c, integers("w3", "UINT4", 0, 70, 33, block=32, zeros=True)], "d")
    g = add("MatMul", [add("Tanh", [d], "t"), integers("w4", "UINT8", 0, 33, 90, block=16, zeros=True)], "g")
    add("Gemm", [g, integers("w5", "INT8", 0, 12, 90)], "z", transB=1)
    tensors.append(numpy_helper.from_array(np.array([0, 8, -1, 3]), "i"))
    rows = [
        add("Gather", [integers("t0", "INT8", 0, 9, 20), "i"], "e0"),
        add("Gather", [halves("t1", 9, 20), "i"], "e1"),
    ]
    add("Add", rows, "e")
    shapes = {"x": ["N", 20, "H", "W"], "y": ["N", 20, "H", "W"], "z": ["N", 12], "e": [4, 20]}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items()}
    x = infos.pop("x")
    graph = helper.make_graph(nodes, "compressed", [x], list(infos.values()), tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def compressed_batch() -> list[np.ndarray]:
    """Inputs whose items are more rows than weights are multiplied by as they are stored."""
    return [np.random.default_rng(1).standard_normal((7, 20, 7, 9)).astype(np.float32)]
