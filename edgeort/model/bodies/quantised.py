"""Bodies of com.microsoft's operators on integers, which ONNX Runtime's quantiser and its optimiser write.

By their definitions in ONNX Runtime's docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.model.bodies.builder import Body, Unknown
from edgeort.model.bodies.microsoft import DOMAIN, self_attention


def _quantised(op: Callable[[Body, list[str]], str], operands: int) -> Callable[[Body], list[str]]:
    """The operator between DequantizeLinear of (x, scale, zero point)... and QuantizeLinear of (scale, zero point)."""

    def body(b: Body) -> list[str]:
        real = [b.op("DequantizeLinear", *_present(b, 3 * i)) for i in range(operands)]
        scale, zero = b.input(3 * operands), b.input(3 * operands + 1)
        return [b.op("QuantizeLinear", op(b, real), scale, *([zero] if zero else []))]

    return body


def _present(b: Body, first: int) -> list[str]:
    """x, its scale, its zero point where it has one."""
    if not b.has(first) or not b.has(first + 1):
        raise Unknown
    return [name for name in (b.input(first + k) for k in range(3)) if name]


def _average(b: Body, operands: list[str]) -> str:
    if not b.attribute("channels_last", 0):
        return b.op("GlobalAveragePool", operands[0])
    return b.reduce("ReduceMean", operands[0], range(1, b.rank(0) - 1))


def qlinear_concat(b: Body) -> list[str]:
    """Concat of operands, each with its scale and zero point, which lie behind those of the result."""
    real = [b.op("DequantizeLinear", *_present(b, first)) for first in range(2, len(b.names), 3)]
    return [b.op("QuantizeLinear", b.op("Concat", *real, axis=int(b.attribute("axis", 0))), *b.names[:2])]


def _average_pool(b: Body, operands: list[str]) -> str:
    if b.attribute("channels_last", 0):
        raise Unknown
    given = b.given("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
    return b.op("AveragePool", operands[0], **given)


def _softmax(b: Body, operands: list[str]) -> str:
    axis = int(b.attribute("axis", -1))
    if axis not in (-1, b.rank(0) - 1):
        raise Unknown  # before opset 13 all axes from this one on are one
    return b.op("Softmax", operands[0], axis=b.rank(0) - 1)


def nhwc_max_pool(b: Body) -> list[str]:
    """MaxPool of integers with the channels last."""
    last = b.rank(0) - 1
    given = b.given("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
    planes = b.op("Transpose", b.input(0), perm=[0, last, *range(1, last)])
    return [b.op("Transpose", b.op("MaxPool", planes, **given), perm=[0, *range(2, last + 1), 1])]


def _product(b: Body, operands: tuple[str, str], zeros: tuple[str, str], scales: tuple[str, str]) -> str:
    """float32(a . b) times both scales."""
    while zeros and not zeros[-1]:
        zeros = zeros[:-1]  # type: ignore[assignment]
    real = b.cast(b.op("MatMulInteger", *operands, *zeros), ir.DataType.FLOAT)
    return b.op("Mul", real, b.op("Mul", *scales))


def dynamic_quantize_matmul(b: Body) -> list[str]:
    """A product of float rows, quantised as the model runs, and an int8 weight (+ a bias)."""
    x, scale, zero = b.ops("DynamicQuantizeLinear", [b.input(0)], 3)
    y = _product(b, (x, b.input(1)), (zero, b.input(3)), (scale, b.input(2)))
    return [b.op("Add", y, b.input(4)) if b.has(4) else y]


def matmul_integer_to_float(b: Body) -> list[str]:
    """A product of integers in real numbers (+ a bias)."""
    y = _product(b, (b.input(0), b.input(1)), (b.input(4), b.input(5)), (b.input(2), b.input(3)))
    return [b.op("Add", y, b.input(6)) if b.has(6) else y]


def q_attention(b: Body) -> list[str]:
    """Self-attention whose queries, keys and values are products of integers."""
    if b.attribute("do_rotary", 0):
        raise Unknown
    y = _product(b, (b.input(0), b.input(1)), (b.input(6), b.input(7)), (b.input(3), b.input(4)))
    sizes = [b.dim(1, 1) // 3] * 3
    return self_attention(b, b.op("Add", y, b.input(2)), sizes, mask=5, past=8, added=None, like=2)


BODIES = {
    (DOMAIN, "QLinearAdd"): _quantised(lambda b, x: b.op("Add", *x), 2),
    (DOMAIN, "QLinearMul"): _quantised(lambda b, x: b.op("Mul", *x), 2),
    (DOMAIN, "QLinearSigmoid"): _quantised(lambda b, x: b.op("Sigmoid", *x), 1),
    (DOMAIN, "QLinearLeakyRelu"): _quantised(
        lambda b, x: b.op("LeakyRelu", *x, alpha=float(b.attribute("alpha", 0.01))), 1
    ),
    (DOMAIN, "QLinearGlobalAveragePool"): _quantised(_average, 1),
    (DOMAIN, "QLinearConcat"): qlinear_concat,
    (DOMAIN, "QLinearAveragePool"): _quantised(_average_pool, 1),
    (DOMAIN, "QLinearSoftmax"): _quantised(_softmax, 1),
    (DOMAIN, "NhwcMaxPool"): nhwc_max_pool,
    (DOMAIN, "DynamicQuantizeMatMul"): dynamic_quantize_matmul,
    (DOMAIN, "MatMulIntegerToFloat"): matmul_integer_to_float,
    (DOMAIN, "QAttention"): q_attention,
}
