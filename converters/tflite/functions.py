"""Functions of one element that LiteRT has no operator for, by some that it has."""

from __future__ import annotations

import onnx_ir as ir

from edgeort.converters.tflite import schema
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.edit import number

# erf(x) = 1 - (a1 t + ... + a5 t^5) e^(-x^2), t = 1 / (1 + p x), x >= 0, to 1.5e-7: Abramowitz and Stegun, 7.1.26.
_ERF_P = 0.3275911
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def _arith(ctx: Writer, name: str, left: int, right: int, activation: str = "NONE") -> int:
    """ADD, SUB, MUL or DIV; the shape is that of the larger operand."""
    shape = max((ctx.about(left).shape, ctx.about(right).shape), key=len)
    return ctx.step(name, [left, right], shape, fused_activation_function=schema.ACTIVATIONS[activation])


def _with(ctx: Writer, name: str, left: int, value: float, activation: str = "NONE") -> int:
    return _arith(ctx, name, left, ctx.number(value), activation)


def hard_sigmoid(ctx: Writer, node: ir.Node) -> None:
    """RELU6(6 alpha x + 6 beta) / 6; with alpha = 1/6 an ADD and a MUL."""
    x = ctx.tensor(node.inputs[0])
    alpha, beta = number(node, "alpha", 0.2), number(node, "beta", 0.5)
    if abs(alpha * 6 - 1) > 1e-6:
        x = _with(ctx, "MUL", x, alpha * 6)
    x = _with(ctx, "ADD", x, beta * 6, "RELU6")
    _end(ctx, node, "MUL", x, ctx.number(1 / 6))


def reciprocal(ctx: Writer, node: ir.Node) -> None:
    """1 / x; RSQRT behind a square root that nothing else reads."""
    source = node.inputs[0].producer() if node.inputs[0] is not None else None
    if source is not None and source.op_type == "Sqrt" and source.domain == "":
        ctx.write(ctx.site(node), "RSQRT", [ctx.tensor(source.inputs[0])])
    else:
        _end(ctx, node, "DIV", ctx.number(1.0), ctx.tensor(node.inputs[0]))


def erf(ctx: Writer, node: ir.Node) -> None:
    """SIGN(x) * erf(|x|) by a polynomial."""
    x = ctx.tensor(node.inputs[0])
    size = ctx.step("ABS", [x])
    t = _with(ctx, "ADD", _with(ctx, "MUL", size, _ERF_P), 1.0)
    t = _arith(ctx, "DIV", ctx.number(1.0), t)
    sum_ = _with(ctx, "MUL", t, _ERF[0])
    for coefficient in _ERF[1:]:
        sum_ = _arith(ctx, "MUL", _with(ctx, "ADD", sum_, coefficient), t)
    falling = ctx.step("EXP", [ctx.step("NEG", [_arith(ctx, "MUL", x, x)])])
    positive = _arith(ctx, "SUB", ctx.number(1.0), _arith(ctx, "MUL", sum_, falling))
    _end(ctx, node, "MUL", ctx.step("SIGN", [x]), positive)


def _softplus(ctx: Writer, x: int) -> int:
    """RELU(x) + LOG(1 + EXP(-|x|)), which does not overflow."""
    small = ctx.step("EXP", [ctx.step("NEG", [ctx.step("ABS", [x])])])
    return _arith(ctx, "ADD", ctx.step("RELU", [x]), ctx.step("LOG", [_with(ctx, "ADD", small, 1.0)]))


def softplus(ctx: Writer, node: ir.Node) -> None:
    """See `_softplus`."""
    made = _softplus(ctx, ctx.tensor(node.inputs[0]))
    _end(ctx, node, "ADD", made, ctx.number(0.0))


def mish(ctx: Writer, node: ir.Node) -> None:
    """x * TANH(softplus(x))."""
    x = ctx.tensor(node.inputs[0])
    _end(ctx, node, "MUL", x, ctx.step("TANH", [_softplus(ctx, x)]))


def softsign(ctx: Writer, node: ir.Node) -> None:
    """x / (1 + |x|)."""
    x = ctx.tensor(node.inputs[0])
    _end(ctx, node, "DIV", x, _with(ctx, "ADD", ctx.step("ABS", [x]), 1.0))


def elu(ctx: Writer, node: ir.Node) -> None:
    """ELU, whose alpha is 1; with another, RELU(x) + alpha * ELU(MINIMUM(x, 0))."""
    x, alpha = ctx.tensor(node.inputs[0]), number(node, "alpha", 1.0)
    if alpha == 1:
        ctx.write(ctx.site(node), "ELU", [x])
    else:
        _end(ctx, node, "ADD", ctx.step("RELU", [x]), _below(ctx, x, alpha))


def celu(ctx: Writer, node: ir.Node) -> None:
    """RELU(x) + alpha * ELU(MINIMUM(x, 0) / alpha)."""
    x, alpha = ctx.tensor(node.inputs[0]), number(node, "alpha", 1.0)
    _end(ctx, node, "ADD", ctx.step("RELU", [x]), _below(ctx, x, alpha, 1 / alpha))


def selu(ctx: Writer, node: ir.Node) -> None:
    """gamma * (RELU(x) + alpha * ELU(MINIMUM(x, 0)))."""
    x = ctx.tensor(node.inputs[0])
    alpha, gamma = number(node, "alpha", 1.6732632), number(node, "gamma", 1.0507010)
    made = _arith(ctx, "ADD", ctx.step("RELU", [x]), _below(ctx, x, alpha))
    _end(ctx, node, "MUL", made, ctx.number(gamma))


def _below(ctx: Writer, x: int, alpha: float, inner: float = 1.0) -> int:
    """alpha * ELU(inner * MINIMUM(x, 0))."""
    low = ctx.step("MINIMUM", [x, ctx.number(0.0)])
    low = low if inner == 1 else _with(ctx, "MUL", low, inner)
    return _with(ctx, "MUL", ctx.step("ELU", [low]), alpha)


def _end(ctx: Writer, node: ir.Node, name: str, left: int, right: int) -> None:
    """The last step, which gives the node's value."""
    site = ctx.site(node, fuses=True)
    ctx.write(site, name, [left, right], **site.fused)
