"""The nodes that multiply by constant weights, and what stands right behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import constant, integer, is_op, number, only_user, operand

# Functions of one tensor and constants, which a table of 256 entries computes.
# fmt: off
UNARY = frozenset({
    "Abs", "Celu", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
})
# fmt: on


TIED = "other nodes have the same weights"


@dataclass(frozen=True)
class Layer:
    """A Conv, ConvTranspose, Gemm or MatMul with constant float32 weights.

    `weight_axis` is the axis of `weight` that has a scale for each entry, `output_axis` that of the channels in the
    result. `bias` has one number an output channel; None where there is none. `adds` is the Add of a constant behind a
    MatMul that is its bias.
    """

    node: ir.Node
    weight: np.ndarray
    bias: np.ndarray | None
    weight_axis: int
    output_axis: int
    adds: ir.Node | None = None

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node.name)

    @property
    def groups(self) -> int:
        """Groups of channels that are apart, 1 but for convolutions."""
        return integer(self.node, "group", 1)

    @property
    def channels(self) -> int:
        """Output channels."""
        size = int(self.weight.shape[self.weight_axis])
        return size * self.groups if self.node.op_type == "ConvTranspose" else size

    @property
    def input(self) -> ir.Value:
        """What the weights multiply."""
        value = self.node.inputs[0]
        assert value is not None
        return value

    @property
    def is_tied(self) -> bool:
        """Whether other nodes have the same weights, as the steps of a recurrent layer that was written out."""
        value = self.node.inputs[1]
        return value is not None and len({use.node for use in value.uses()}) > 1

    @property
    def takes_bias(self) -> bool:
        """Whether there is an operand for a bias."""
        return self.node.op_type != "MatMul" or self.adds is not None

    @property
    def bias_operand(self) -> tuple[ir.Node, int]:
        """The node that has the bias, and its operand, which the node may lack; of those that take one."""
        if self.adds is None:
            return self.node, 2
        return self.adds, next(i for i, value in enumerate(self.adds.inputs) if value is not self.node.outputs[0])

    @property
    def result(self) -> ir.Value:
        """What it makes, the bias added."""
        return (self.adds or self.node).outputs[0]


def read_layer(node: ir.Node) -> Layer | str | None:
    """The node as a layer; why it is none; None for other operators."""
    if not is_op(node, "Conv", "ConvTranspose", "Gemm", "MatMul"):
        return None
    weight = constant(operand(node, 1))
    if weight is None:
        return "its weight is not a constant"
    if weight.dtype != np.float32 or constant(operand(node, 0)) is not None:
        return "it does not multiply a float32 tensor by float32 weights"
    if node.op_type in ("MatMul", "Gemm") and weight.ndim != 2:
        return "its weight is no matrix"
    if node.op_type == "Gemm" and (number(node, "alpha", 1.0) != 1 or integer(node, "transA", 0)):
        return "it scales or transposes its input"
    adds = _added(node, weight) if node.op_type == "MatMul" else None
    bias = adds[1] if adds else _bias(node, weight)
    if isinstance(bias, str):
        return bias
    axis = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 0 if integer(node, "transB", 0) else 1}[node.op_type]
    return Layer(node, weight, bias, axis, 1 if node.op_type.startswith("Conv") else -1, adds[0] if adds else None)


def _added(node: ir.Node, weight: np.ndarray) -> tuple[ir.Node, np.ndarray] | None:
    """The Add of a constant vector that alone reads what a MatMul makes, and the vector."""
    out = node.outputs[0]
    user = only_user(out)
    if user is None or not is_op(user, "Add"):
        return None
    array = next((constant(value) for value in user.inputs if value is not out), None)
    if array is None or array.dtype != np.float32:
        return None
    return (user, array.reshape(-1)) if array.shape[-1:] == weight.shape[1:] == (array.size,) else None


def _bias(node: ir.Node, weight: np.ndarray) -> np.ndarray | str | None:
    value = operand(node, 2)
    if value is None:
        return None
    bias = constant(value)
    if bias is None or bias.size != bias.shape[-1]:
        return "its bias is no constant vector"
    beta = number(node, "beta", 1.0) if node.op_type == "Gemm" else 1.0
    width = weight.shape[0 if integer(node, "transB", 0) else 1] if node.op_type == "Gemm" else bias.size
    return np.broadcast_to(bias.reshape(-1) * np.float32(beta), (width,)).astype(np.float32)


def head(value: ir.Value) -> ir.Value:
    """`value`, or what a Relu or Clip makes of it that alone reads it: the range of eight bits clips as well."""
    user = only_user(value)
    return user.outputs[0] if user is not None and clip_bounds(user) is not None else value
