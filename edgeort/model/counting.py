"""Multiply-adds of operators, by the formula of each, from the shapes of its operands and results.

Channels-last nodes count alike: the formulas do not look at where the channel dimension stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir

_DOMAINS = ("", "edgeort.nhwc", "com.microsoft")


def multiplies(node: ir.Node) -> bool:
    """Whether it multiplies matrices or convolves."""
    return (node.domain in _DOMAINS and node.op_type in _FORMULAS) or (node.domain, node.op_type) in _OWN


def multiply_adds(node: ir.Node) -> int | None:
    """Those of one run of a node that multiplies; None where a dimension that they depend on is not known."""
    own = _OWN.get((node.domain, node.op_type))
    return _FORMULAS[node.op_type](node) if own is None else own(node)


def _shape(node: ir.Node, position: int) -> tuple[int, ...] | None:
    """Dimensions of an input, or None unless all are known."""
    value = node.inputs[position] if position < len(node.inputs) else None
    return None if value is None else fixed(value)


def fixed(value: ir.Value) -> tuple[int, ...] | None:
    """The dimensions of a value, or None unless all are known."""
    shape = value.const_value.shape if value.const_value is not None else value.shape
    if shape is None:
        return None
    dims = tuple(dim for dim in shape if isinstance(dim, int))
    return dims if len(dims) == len(shape) else None


def _conv(weight_position: int) -> Callable[[ir.Node], int | None]:
    """Every output element sums over one group's channels times the window: weight [out, in / group, window...]."""

    def formula(node: ir.Node) -> int | None:
        output, weight = fixed(node.outputs[0]), _shape(node, weight_position)
        return None if output is None or not weight else math.prod(output) * math.prod(weight[1:])

    return formula


def _conv_transpose(node: ir.Node) -> int | None:
    """Every element of the input is spread over the window of each channel: weight [in, out / group, window...]."""
    data, weight = _shape(node, 0), _shape(node, 1)
    return None if data is None or not weight else math.prod(data) * math.prod(weight[1:])


def _gemm(node: ir.Node) -> int | None:
    output, a = fixed(node.outputs[0]), _shape(node, 0)
    if output is None or a is None or len(a) != 2:
        return None
    return math.prod(output) * a[0 if node.attributes.get_int("transA", 0) else 1]


def _matmul(node: ir.Node) -> int | None:
    output, a = fixed(node.outputs[0]), _shape(node, 0)
    return None if output is None or not a else math.prod(output) * a[-1]


def _recurrent(node: ir.Node) -> int | None:
    """Every step multiplies the input by W [directions, gates * hidden, in] and the state by R [.., .., hidden]."""
    data, w, r = (_shape(node, position) for position in range(3))
    if data is None or w is None or r is None or len(data) != 3:
        return None
    return data[0] * data[1] * (math.prod(w) + math.prod(r))


def _attention(node: ir.Node) -> int | None:
    """Each number of the result sums over the keys, and the score of each key over as many numbers of a head."""
    output, k, axes = fixed(node.outputs[0]), _shape(node, 1), node.attributes.get_ints("k_perm", ())
    if output is None or k is None or len(axes) != len(k):
        return None
    return 2 * math.prod(output) * k[axes[-2]]


_FORMULAS: dict[str, Callable[[ir.Node], int | None]] = {
    "Conv": _conv(1),
    "ConvInteger": _conv(1),
    "QLinearConv": _conv(3),
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "MatMulNBits": _matmul,
    "QLinearMatMul": _matmul,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}

# Operators that passes make.
_OWN: dict[tuple[str, str], Callable[[ir.Node], int | None]] = {
    ("edgeort", "DynamicQuantMatMul"): _matmul,
    ("edgeort", "Attention"): _attention,
    ("edgeort", "MaskedAttention"): _attention,
}
