"""Arithmetic, comparisons and logic, number by number with broadcasting."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types
from coremltools.converters.mil.mil.types.symbolic import any_symbolic

from edgeort.converters.coreml.broadcasting import broadcast_like
from edgeort.converters.coreml.emission import DTYPES, Emission, Refused, Results, cast, is_float, scalar
from edgeort.passes import edit

Handler = Callable[[Emission, ir.Node], Results]


def binary(name: str) -> Handler:
    """The handler of an operator that MIL has under that name."""
    return lambda e, node: getattr(mb, name)(x=e.input(node), y=e.input(node, 1))


def variadic(name: str) -> Handler:
    """The same for any number of operands."""

    def handler(e: Emission, node: ir.Node) -> Results:
        operands = [e.var(value) for value in node.inputs]
        if len(operands) == 1:
            return mb.identity(x=operands[0])
        return functools.reduce(lambda x, y: getattr(mb, name)(x=x, y=y), operands)

    return handler


def mean(e: Emission, node: ir.Node) -> Results:
    """The mean of the operands."""
    total = variadic("add")(e, node)
    assert isinstance(total, Var)
    return mb.mul(x=total, y=scalar(total, 1 / len(node.inputs)))


def divide(e: Emission, node: ir.Node) -> Results:
    """Div; that of integers rounds towards zero, MIL's towards minus infinity."""
    x, y = e.input(node), e.input(node, 1)
    if is_float(x):
        return mb.real_div(x=x, y=y)
    is_size = x.sym_val is not None and any_symbolic(x.sym_val)
    if is_size or (x.val is not None and y.val is not None and np.min(x.val) >= 0 and np.min(y.val) >= 0):
        return mb.floor_div(x=x, y=y)
    return mb.mul(x=mb.floor_div(x=mb.abs(x=x), y=mb.abs(x=y)), y=mb.mul(x=mb.sign(x=x), y=mb.sign(x=y)))


def power(e: Emission, node: ir.Node) -> Results:
    """Pow; the usual exponents become products, roots and quotients, which are exact for negative numbers too."""
    x, exponent = e.input(node), e.known(node, 1)
    if exponent is None or exponent.size != 1 or not is_float(x):
        y = e.input(node, 1)
        if y.dtype != x.dtype:
            y = cast(y, x.dtype)
        return mb.pow(x=x, y=y)
    number = float(exponent.reshape(()))
    if x.rank < exponent.ndim:
        x = mb.reshape(x=x, shape=[1] * exponent.ndim)
    if number == 2:
        return mb.mul(x=x, y=x)
    if number == 3:
        return mb.mul(x=mb.mul(x=x, y=x), y=x)
    if number == 0.5:
        return mb.sqrt(x=x)
    if number in (-1, -0.5):
        return mb.real_div(x=scalar(x, 1.0), y=x if number == -1 else mb.sqrt(x=x))
    return mb.pow(x=x, y=scalar(x, number))


def modulo(e: Emission, node: ir.Node) -> Results:
    """Mod: with the divisor's sign, or with fmod that of the dividend."""
    x, y = e.input(node), e.input(node, 1)
    if not edit.integer(node, "fmod", 0):
        return mb.mod(x=x, y=y)
    size = mb.mod(x=mb.abs(x=x), y=mb.abs(x=y))
    return mb.mul(x=size, y=mb.sign(x=x))


def negative(e: Emission, node: ir.Node) -> Results:
    """-x."""
    x = e.input(node)
    return mb.mul(x=x, y=scalar(x, -1))


def reciprocal(e: Emission, node: ir.Node) -> Results:
    """1 / x, by a division: MIL's `inverse` adds to its argument."""
    x = e.input(node)
    return mb.real_div(x=scalar(x, 1.0), y=x)


def asinh(e: Emission, node: ir.Node) -> Results:
    """sign(x) * log(|x| + sqrt(x^2 + 1))."""
    x = e.input(node)
    size = mb.abs(x=x)
    root = mb.sqrt(x=mb.add(x=mb.mul(x=x, y=x), y=scalar(x, 1.0)))
    return mb.mul(x=mb.sign(x=x), y=mb.log(x=mb.add(x=size, y=root)))


def acosh(e: Emission, node: ir.Node) -> Results:
    """log(x + sqrt(x^2 - 1))."""
    x = e.input(node)
    root = mb.sqrt(x=mb.sub(x=mb.mul(x=x, y=x), y=scalar(x, 1.0)))
    return mb.log(x=mb.add(x=x, y=root))


def compare(name: str) -> Handler:
    """Comparisons; booleans are compared as integers."""

    def handler(e: Emission, node: ir.Node) -> Results:
        x, y = e.input(node), e.input(node, 1)
        if x.dtype == types.bool:
            x, y = cast(x, types.int32), cast(y, types.int32)
        return getattr(mb, name)(x=x, y=y)

    return handler


def is_nan(e: Emission, node: ir.Node) -> Results:
    """x != x."""
    x = e.input(node)
    return mb.not_equal(x=x, y=x)


def where(e: Emission, node: ir.Node) -> Results:
    """Where. MIL's `select` takes its shape from the two values, so that these are made as large as the condition."""
    condition, a, b = (e.input(node, index) for index in range(3))
    if condition.val is None or np.size(condition.val) != 1:
        a = broadcast_like(a, condition, b)
    return mb.select(cond=condition, a=a, b=b)


def to_type(e: Emission, node: ir.Node) -> Results:
    """Cast. MIL has float32, float16, int32 and bool; narrower integers are refused, as nothing would wrap."""
    x = e.input(node)
    target = ir.DataType(edit.integer(node, "to", 1))
    if target not in DTYPES or target.name in ("INT8", "UINT8", "INT16", "UINT16", "BFLOAT16"):
        raise Refused(f"a cast to {target.name.lower()} has no counterpart")
    if target == ir.DataType.BOOL and x.dtype != types.bool:
        return mb.not_equal(x=x, y=scalar(x, 0))
    return mb.identity(x=x) if x.dtype == DTYPES[target] else cast(x, DTYPES[target])
