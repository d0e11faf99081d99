"""Graphs of random weights made of the blocks that common networks have; nodes are named for their branch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from edgeort.model import dynamic_products

OPSET = 17
_SCALE = 0.05  # of quantised activations


@dataclass
class Network:
    """A graph under construction, of float32 or with pairs of QuantizeLinear and DequantizeLinear."""

    quantised: bool
    channels_last: bool = True
    seed: int = 0
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    branch: str = ""
    is_map: bool = False
    uses_function: bool = False

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def begin(self, branch: str, shape: tuple[int, ...]) -> str:
        """Starts a branch on an input of that shape, quantised where the network is; returns its value.

        Feature maps [1, c, h, w] come and go channels last where the network has them so, as they would from and to
        other layers of the runtime; pictures as such.
        """
        self.branch, self.is_map = branch, len(shape) == 4
        last = self.channels_last and self.is_map and shape[1] > 3
        held = (shape[0], *shape[2:], shape[1]) if last else shape
        name = f"{branch}/x"
        self.inputs[name] = held
        return self.requantise(self.op("Transpose", name, perm=[0, 3, 1, 2]) if last else name)

    def end(self, value: str) -> None:
        """Makes a value an output."""
        if self.is_map and self.channels_last:
            value = self.op("Transpose", value, perm=[0, 2, 3, 1])
        self.outputs.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, None))

    def op(self, kind: str, *operands: str, outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """One node; returns its first output, whose name ends in .0 where there are more."""
        name = f"{self.branch}/{len(self.nodes)}/{kind.lower()}"
        made = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, operands, made, name, domain=domain, **attributes))
        return made[0]

    def constant(self, array: np.ndarray | np.generic) -> str:
        name = f"{self.branch}/c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def floats(self, *numbers: float) -> str:
        """A constant vector."""
        return self.constant(np.array(numbers, np.float32))

    def weight(self, *shape: int, axis: int = 0) -> str:
        """Random weights, int8 with a scale for each of `axis` where the network is quantised."""
        if not self.quantised:
            return self.constant(self.rng.standard_normal(shape).astype(np.float32) / math.sqrt(math.prod(shape[1:])))
        integers = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8))
        scales = self.rng.uniform(0.5, 1.0, shape[axis]) / 127 / math.sqrt(math.prod(shape) / shape[axis])
        zeros = self.constant(np.zeros(shape[axis], np.int8))
        return self.op("DequantizeLinear", integers, self.constant(scales.astype(np.float32)), zeros, axis=axis)

    def requantise(self, value: str) -> str:
        """To eight bits and back, where the network is quantised."""
        if not self.quantised:
            return value
        scale, zero = self.constant(np.float32(_SCALE)), self.constant(np.int8(3))
        return self.op("DequantizeLinear", self.op("QuantizeLinear", value, scale, zero), scale, zero)

    def conv(
        self, x: str, into: int, out: int, kernel: int = 1, stride: int = 1, group: int = 1, then: str = "relu6"
    ) -> str:
        """A convolution with a bias, and relu, relu6, silu or nothing behind it."""
        bias = self.rng.standard_normal(out)
        if self.quantised:
            scales = self.constant(np.full(out, 1e-4, np.float32))
            integers, zeros = self.constant((bias * 100).astype(np.int32)), self.constant(np.zeros(out, np.int32))
            held = self.op("DequantizeLinear", integers, scales, zeros, axis=0)
        else:
            held = self.constant(bias.astype(np.float32))
        shape: dict[str, Any] = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [kernel // 2] * 4,
            "group": group,
        }
        y = self.op("Conv", x, self.weight(out, into // group, kernel, kernel), held, **shape)
        return self.requantise(self.activation(y, then))

    def activation(self, x: str, kind: str) -> str:
        if kind == "relu":
            return self.op("Relu", x)
        if kind == "relu6":
            return self.op("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))
        if kind == "silu":
            x = self.requantise(x)
            return self.op("Mul", x, self.op("Sigmoid", x))
        return x

    def add(self, x: str, y: str, then: str = "") -> str:
        return self.requantise(self.activation(self.op("Add", x, y), then))

    def depthwise(self, x: str, channels: int, kernel: int, stride: int = 1) -> str:
        return self.conv(x, channels, channels, kernel, stride, channels)

    def inverted(self, x: str, into: int, out: int, expansion: int, kernel: int, stride: int) -> str:
        """Sandler et al. 2018, arXiv:1801.04381, figure 3."""
        wide = self.conv(x, into, into * expansion)
        y = self.conv(self.depthwise(wide, into * expansion, kernel, stride), into * expansion, out, then="")
        return self.add(x, y) if stride == 1 and into == out else y

    def basic(self, x: str, into: int, out: int, stride: int) -> str:
        """He et al. 2015, arXiv:1512.03385, figure 2."""
        y = self.conv(self.conv(x, into, out, 3, stride, then="relu"), out, out, 3, then="")
        same = x if stride == 1 and into == out else self.conv(x, into, out, 1, stride, then="")
        return self.add(y, same, "relu")

    def linear(self, x: str, into: int, out: int, then: str = "") -> str:
        """x [..., into] times a matrix, with a bias; a quantised network quantises each row as it comes."""
        if self.quantised:
            self.uses_function = True
            matrix = self.constant(self.rng.integers(-127, 128, (into, out)).astype(np.int8))
            scales = self.constant(self.rng.uniform(0.5, 1.0, out).astype(np.float32) / (127 * math.sqrt(into)))
            y = self.op(dynamic_products.NAME, x, matrix, scales, domain=dynamic_products.DOMAIN)
        else:
            y = self.op("MatMul", x, self.constant(self.rng.standard_normal((into, out)).astype(np.float32) / into))
        y = self.op("Add", y, self.constant(self.rng.standard_normal(out).astype(np.float32)))
        return self.gelu(y) if then == "gelu" else y

    def gelu(self, x: str) -> str:
        root, one, half = (self.constant(np.float32(number)) for number in (math.sqrt(2), 1, 0.5))
        grown = self.op("Add", self.op("Erf", self.op("Div", x, root)), one)
        return self.op("Mul", self.op("Mul", x, grown), half)

    def norm(self, x: str, width: int) -> str:
        ones, zeros = self.constant(np.ones(width, np.float32)), self.constant(np.zeros(width, np.float32))
        return self.op("LayerNormalization", x, ones, zeros, axis=-1)

    def attention(self, x: str, rows: int, width: int, heads: int) -> str:
        """Vaswani et al. 2017, arXiv:1706.03762, section 3.2, on x [1, rows, width]."""
        split = self.constant(np.array([1, rows, heads, width // heads], np.int64))
        joined = self.constant(np.array([1, rows, width], np.int64))
        q, k, v = (self.op("Reshape", self.linear(x, width, width), split) for _ in range(3))
        q, v = (self.op("Transpose", part, perm=[0, 2, 1, 3]) for part in (q, v))
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 2, 3, 1]))
        shares = self.op("Softmax", self.op("Div", scores, self.constant(np.float32(4))), axis=-1)
        y = self.op("Transpose", self.op("MatMul", shares, v), perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", y, joined), width, width)

    def encoder(self, x: str, rows: int, width: int, heads: int) -> str:
        """One layer of a transformer's encoder, norms behind the sums."""
        x = self.norm(self.op("Add", self.attention(x, rows, width, heads), x), width)
        y = self.linear(self.linear(x, width, 4 * width, "gelu"), 4 * width, width)
        return self.norm(self.op("Add", y, x), width)

    def classifier(self, x: str, channels: int, classes: int) -> str:
        flat = self.op("Flatten", self.requantise(self.op("GlobalAveragePool", x)))
        bias = self.constant(np.zeros(classes, np.float32))
        self.is_map = False
        return self.op("Gemm", flat, self.weight(classes, channels), bias, transB=1)

    def model(self) -> ir.Model:
        """The whole graph."""
        inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in self.inputs.items()]
        graph = helper.make_graph(self.nodes, "probe", inputs, self.outputs, self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        if self.uses_function:
            made.opset_import.append(helper.make_opsetid(dynamic_products.DOMAIN, 1))
        model = ir.from_proto(made)
        if self.uses_function:
            dynamic_products.add_function(model)
        return model
