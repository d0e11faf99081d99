"""Activations: functions of one number and a few parameters, and the softmaxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import Emission, Results, is_float, positive, scalar
from edgeort.passes import edit

_FLAT_UNTIL = 13  # before this opset softmaxes run over all axes from `axis` on
_SELU = (1.67326319217681884765625, 1.05070102214813232421875)


def unary(name: str) -> Callable[[Emission, ir.Node], Results]:
    """The handler of an operator that MIL has under that name."""
    return lambda e, node: getattr(mb, name)(x=e.input(node))


def with_alpha(name: str, default: float) -> Callable[[Emission, ir.Node], Results]:
    """The same with the attribute `alpha`."""

    def handler(e: Emission, node: ir.Node) -> Results:
        x = e.input(node)
        return getattr(mb, name)(x=x, alpha=scalar(x, edit.number(node, "alpha", default)))

    return handler


def selu(e: Emission, node: ir.Node) -> Results:
    """gamma * elu(x, alpha)."""
    x = e.input(node)
    alpha, gamma = (edit.number(node, key, _SELU[index]) for index, key in enumerate(("alpha", "gamma")))
    return mb.mul(x=mb.elu(x=x, alpha=scalar(x, alpha)), y=scalar(x, gamma))


def celu(e: Emission, node: ir.Node) -> Results:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)) = alpha * elu(x / alpha, 1)."""
    x = e.input(node)
    alpha = edit.number(node, "alpha", 1.0)
    inner = mb.elu(x=mb.mul(x=x, y=scalar(x, 1 / alpha)), alpha=scalar(x, 1.0))
    return mb.mul(x=inner, y=scalar(x, alpha))


def hard_sigmoid(e: Emission, node: ir.Node) -> Results:
    """max(0, min(1, alpha * x + beta))."""
    return _hard_sigmoid(e.input(node), edit.number(node, "alpha", 0.2), edit.number(node, "beta", 0.5))


def hard_swish(e: Emission, node: ir.Node) -> Results:
    """x * hard_sigmoid(x, 1/6, 1/2)."""
    x = e.input(node)
    return mb.mul(x=x, y=_hard_sigmoid(x, 1 / 6, 0.5))


def _hard_sigmoid(x: Var, alpha: float, beta: float) -> Var:
    return mb.sigmoid_hard(x=x, alpha=scalar(x, alpha), beta=scalar(x, beta))


def softplus(e: Emission, node: ir.Node) -> Results:
    """log(1 + exp(x))."""
    return mb.softplus(x=e.input(node))


def mish(e: Emission, node: ir.Node) -> Results:
    """x * tanh(softplus(x))."""
    x = e.input(node)
    return mb.mul(x=x, y=mb.tanh(x=mb.softplus(x=x)))


def swish(e: Emission, node: ir.Node) -> Results:
    """x * sigmoid(alpha * x)."""
    x = e.input(node)
    alpha = edit.number(node, "alpha", 1.0)
    inner = x if alpha == 1 else mb.mul(x=x, y=scalar(x, alpha))
    return mb.mul(x=x, y=mb.sigmoid(x=inner))


def gelu(e: Emission, node: ir.Node) -> Results:
    """Gelu, exact or by tanh."""
    tanh = edit.text(node, "approximate", "none") == "tanh"
    return mb.gelu(x=e.input(node), mode="TANH_APPROXIMATION" if tanh else "EXACT")


def prelu(e: Emission, node: ir.Node) -> Results:
    """PRelu; a slope that is not one for each channel of a picture becomes max(x, 0) + slope * min(x, 0)."""
    x, slope = e.input(node), e.known(node, 1)
    if slope is not None and 3 <= x.rank <= 5 and slope.ndim in (x.rank, x.rank - 1):
        channels = slope.shape[-(x.rank - 1)]
        if slope.size == channels == x.shape[1]:
            return mb.prelu(x=x, alpha=slope.reshape(-1))
    zero = scalar(x, 0.0)
    return mb.add(x=mb.relu(x=x), y=mb.mul(x=mb.minimum(x=x, y=zero), y=e.input(node, 1)))


def shrink(e: Emission, node: ir.Node) -> Results:
    """x + bias below -lambd, x - bias above lambd, else 0."""
    x = e.input(node)
    bias, lambd = edit.number(node, "bias", 0.0), edit.number(node, "lambd", 0.5)
    above = mb.select(cond=mb.greater(x=x, y=scalar(x, lambd)), a=mb.sub(x=x, y=scalar(x, bias)), b=scalar(x, 0.0))
    return mb.select(cond=mb.less(x=x, y=scalar(x, -lambd)), a=mb.add(x=x, y=scalar(x, bias)), b=above)


def clip(e: Emission, node: ir.Node) -> Results:
    """Clip; bounds are attributes before opset 11. An end that is open, or as large as can be, is left out."""
    x = e.input(node)
    if e.opset < 11:
        low, high = (node.attributes[key].as_float() if key in node.attributes else None for key in ("min", "max"))
    else:
        low, high = (_bound(e, node, index) for index in (1, 2))
    known = [bound is None or isinstance(bound, (float, int)) for bound in (low, high)]
    if is_float(x) and all(known):
        low, high = _finite(low), _finite(high)
        if low == 0 and high is None:
            return mb.relu(x=x)
        if low == 0 and high == 6:
            return mb.relu6(x=x)
        if low is not None and high is not None and low <= high:
            return mb.clip(x=x, alpha=scalar(x, low), beta=scalar(x, high))
    if low is not None:
        x = mb.maximum(x=x, y=_same(x, low))
    return mb.identity(x=x) if high is None else mb.minimum(x=x, y=_same(x, high))


def _same(x: Var, bound: Any) -> Any:
    return scalar(x, bound) if isinstance(bound, (float, int)) else bound


def _bound(e: Emission, node: ir.Node, index: int) -> Any:
    """A number where it is known, else the variable; None where it is absent."""
    value = edit.operand(node, index)
    if value is None:
        return None
    array = edit.constant(value)
    return e.var(value) if array is None else array.reshape(()).item()


def _finite(bound: float | None) -> float | None:
    return None if bound is None or math.isinf(bound) or abs(bound) >= 1e38 else bound


def softmax(e: Emission, node: ir.Node) -> Results:
    """Softmax along an axis."""
    return _along(e, node, lambda x, axis: mb.softmax(x=x, axis=axis))


def log_softmax(e: Emission, node: ir.Node) -> Results:
    """x - max - log(sum(exp(x - max)))."""

    def formula(x: Var, axis: int) -> Var:
        moved = mb.sub(x=x, y=mb.reduce_max(x=x, axes=[axis], keep_dims=True))
        return mb.sub(x=moved, y=mb.reduce_log_sum_exp(x=moved, axes=[axis], keep_dims=True))

    return _along(e, node, formula)


def hardmax(e: Emission, node: ir.Node) -> Results:
    """1 at the first maximum, else 0."""

    def formula(x: Var, axis: int) -> Var:
        size = x.shape[axis]
        first = mb.reduce_argmax(x=x, axis=axis, keep_dims=True)
        places = np.arange(size, dtype=np.int32).reshape([-1] + [1] * (x.rank - 1 - positive(axis, x.rank)))
        return mb.cast(x=mb.equal(x=first, y=places), dtype=types.builtin_to_string(x.dtype))

    return _along(e, node, formula)


def _along(e: Emission, node: ir.Node, formula: Callable[[Var, int], Var]) -> Var:
    x = e.input(node)
    if e.opset >= _FLAT_UNTIL:
        return formula(x, edit.integer(node, "axis", -1))
    axis = positive(edit.integer(node, "axis", 1), x.rank)
    if axis == x.rank - 1:
        return formula(x, -1)
    flat = mb.reshape(x=x, shape=mb.concat(values=[mb.slice_by_size(x=mb.shape(x=x), begin=[0], size=[axis]), [-1]], axis=0))
    return mb.reshape(x=formula(flat, -1), shape=mb.shape(x=x))
