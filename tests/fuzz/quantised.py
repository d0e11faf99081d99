"""Small quantised networks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from edgeort.model import dynamic_products


@dataclass
class _Network:
    """Nodes and constants; methods add to them and return the name of what they make."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, op: str, inputs: list[str], name: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def quantised(self, source: str, scale: float | np.ndarray, zero: int) -> str:
        """Through QuantizeLinear, `<source>_q`, and DequantizeLinear, with one scale or one for each channel."""
        scales = np.asarray(scale, np.float32)
        self.constants |= {f"{source}_s": scales, f"{source}_z": np.full(scales.shape, zero, np.uint8)}
        self.add("QuantizeLinear", [source, f"{source}_s", f"{source}_z"], f"{source}_q")
        return self.add("DequantizeLinear", [f"{source}_q", f"{source}_s", f"{source}_z"], f"{source}_d")

    def weights(self, name: str, shape: tuple[int, ...], axis: int = 0) -> str:
        """int8 with a scale for each slice of `axis`."""
        self.constants[f"{name}_w"] = self.rng.integers(-127, 128, shape).astype(np.int8)
        self.constants[f"{name}_ws"] = self.rng.uniform(0.001, 0.004, shape[axis]).astype(np.float32)
        return self.add("DequantizeLinear", [f"{name}_w", f"{name}_ws"], f"{name}_wd", axis=axis)

    def conv(self, name: str, source: str, weight: tuple[int, ...], **attributes: object) -> str:
        self.constants[f"{name}_b"] = self.rng.normal(size=weight[0]).astype(np.float32)
        return self.add("Conv", [source, self.weights(name, weight), f"{name}_b"], name, **attributes)


def quantised_network() -> onnx.ModelProto:
    """x [N, 3, H, W] -> y [N, 19], and the uint8 sum_q [N, 24, h, w].

    Convolutions of each kind, scales for channels, a residual sum that is only then quantised and one of two quantised
    tensors, pools, a function of one tensor, movement, a product by a matrix.
    """
    net = _Network()
    x = net.quantised("x", 0.03, 110)
    stem = net.conv("stem", x, (24, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    r = net.quantised(net.add("Relu", [stem], "r"), np.linspace(0.02, 0.08, 24), 0)
    depthwise = net.conv("depthwise", r, (24, 1, 3, 3), group=24, pads=[1, 1, 1, 1])
    h = net.quantised(net.add("HardSwish", [depthwise], "h"), 0.03, 110)
    s = net.quantised(net.add("Sigmoid", [h], "s"), 1 / 256, 0)
    grouped = net.conv("grouped", s, (24, 8, 1, 1), group=3)
    total = net.quantised(net.add("Add", [grouped, s], "sum"), 0.05, 110)
    again = net.quantised(net.add("Add", [total, s], "again"), 0.05, 110)
    m = net.add("MaxPool", [again], "m", kernel_shape=[2, 2], strides=[2, 2])
    a = net.add("AveragePool", [again], "a", kernel_shape=[2, 2], strides=[2, 2])
    c = net.quantised(net.add("Concat", [m, a], "c", axis=1), 0.05, 110)
    g = net.quantised(net.add("Flatten", [net.add("GlobalAveragePool", [c], "pooled")], "g"), 0.02, 110)
    net.constants["bias"] = net.rng.normal(size=19).astype(np.float32)
    product = net.add("MatMul", [g, net.weights("matrix", (48, 19), axis=1)], "product")
    net.add("Add", [product, "bias"], "y")
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 19]),
        helper.make_tensor_value_info("sum_q", TensorProto.UINT8, ["N", 24, "h", "w"]),
    ]
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in net.constants.items()]
    graph = helper.make_graph(net.nodes, "quantised", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def quantised_lines() -> list[np.ndarray]:
    """Inputs of the network above that make its inner tensors wide enough to run as row streams."""
    return [np.random.default_rng(1).standard_normal((1, 3, 150, 170)).astype(np.float32)]


def dynamic() -> onnx.ModelProto:
    """Two products of free sizes whose rows are quantised as they run, one of them with -128 among its weights."""
    text = """<ir_version: 9, opset_import: ["": 18, "edgeort": 1]> dynamic (float[N,R,37] x) => (float[N,R,19] y) {
      p = edgeort.DynamicQuantMatMul (x, w1, s1) q = Add (p, b) r = Relu (q)
      t = edgeort.DynamicQuantMatMul (r, w2, s2) y = Tanh (t) }"""
    proto = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    arrays = {
        "w1": rng.integers(-127, 128, (37, 50)).astype(np.int8), "s1": rng.uniform(0.001, 0.01, 50).astype(np.float32),
        "w2": rng.integers(-128, 128, (50, 19)).astype(np.int8), "s2": rng.uniform(0.001, 0.01, 19).astype(np.float32),
        "b": rng.standard_normal(50).astype(np.float32),
    }  # fmt: skip
    arrays["w2"][0, 0] = -128
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    made = ir.from_proto(proto)
    dynamic_products.add_function(made)
    return ir.to_proto(made)
