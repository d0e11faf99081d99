"""DynamicQuantMatMul, the model-local function of products whose rows are quantised as the model runs.

    y = DynamicQuantMatMul(x, w, s)         x float32 [..., k], w int8 [k, n], s float32 [n] -> y float32 [..., n]

    a row of x:  low = min(x, 0)   high = max(x, 0)   r = max((high - low) / 255, 2^-126)   i = 1 / r
                 z = round(-low * i)   q = clip(round(x * i) + z, 0, 255)
    y = (float32(q . w - z * sum of w) * s) * r

in float32, the sums in int32; round is to the nearest, ties to even. The function's body says it in standard operators,
so that any runtime with functions computes it. (A range for every row: Yao et al. 2022, "ZeroQuant", section 4.1.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

DOMAIN, NAME = "edgeort", "DynamicQuantMatMul"
LEAST_OPSET = 13
_LEAST = float(np.finfo(np.float32).tiny)

_BODY = f"""{NAME} (x, w, s) => (y) {{
    none = Constant <value_float = 0.0> () one = Constant <value_float = 1.0> ()
    levels = Constant <value_float = 255.0> () least = Constant <value_float = {_LEAST!r}> ()
    last = Constant <value_ints = [-1]> () rows = Constant <value_ints = [0]> ()
    x_high = ReduceMax <LAST> (x, last) high = Max (x_high, none)
    x_low = ReduceMin <LAST> (x, last) low = Min (x_low, none)
    span = Sub (high, low) step = Div (span, levels) r = Max (step, least) i = Div (one, r)
    minus = Neg (low) z_real = Mul (minus, i) z = Round (z_real)
    x_real = Mul (x, i) x_round = Round (x_real) x_moved = Add (x_round, z) x_clip = Clip (x_moved, none, levels)
    q = Cast <to = 2> (x_clip) products = MatMulInteger (q, w)
    w_wide = Cast <to = 6> (w) sums = ReduceSum <keepdims = 0> (w_wide, rows)
    z_wide = Cast <to = 6> (z) shift = Mul (z_wide, sums) acc = Sub (products, shift)
    acc_real = Cast <to = 1> (acc) scaled = Mul (acc_real, s) y = Mul (scaled, r) }}"""


@functools.cache
def _proto(opset: int) -> onnx.FunctionProto:
    if opset < 18:  # where the axes of ReduceMax are an attribute
        body = _BODY.replace("LAST", "axes = [-1], keepdims = 1").replace("(x, last)", "(x)")
        body = body.replace("last = Constant <value_ints = [-1]> ()", "")
    else:
        body = _BODY.replace("LAST", "keepdims = 1")
    return onnx.parser.parse_function(f'<domain: "{DOMAIN}", opset_import: ["": {opset}]> {body}')


def add_function(model: ir.Model) -> None:
    """Makes sure that `model`, of opset 13 or newer, holds the function."""
    identifier = (DOMAIN, NAME, "")
    if identifier not in model.functions:
        model.functions[identifier] = ir.serde.deserialize_function(_proto(model.opset_imports[""]))
        model.opset_imports.setdefault(DOMAIN, 1)


def is_known(function: ir.Function) -> bool:
    """Whether it is this function, by its name and by what its body computes: a file may call anything by that name."""
    if (function.domain, function.name) != (DOMAIN, NAME):
        return False
    return same_body(function, _proto)


def same_body(function: ir.Function, made: Callable[[int], onnx.FunctionProto]) -> bool:
    """Whether it computes what the function made for its opset does, whatever its values and nodes are called."""
    proto = ir.to_proto(function)
    version = next((entry.version for entry in proto.opset_import if entry.domain == ""), 0)
    return version >= LEAST_OPSET and list(_shape(proto)) == list(_shape(made(version)))


def _shape(function: onnx.FunctionProto) -> Iterator[Any]:
    """The body without the names of its values and nodes."""
    numbers: dict[str, int] = {}

    def number(name: str) -> int:
        return numbers.setdefault(name, len(numbers))

    def attribute(given: onnx.AttributeProto) -> Any:
        if given.type != onnx.AttributeProto.GRAPH:
            return given.name, given.SerializeToString(deterministic=True)
        ends = [[number(value.name) for value in values] for values in (given.g.input, given.g.output)]
        return given.name, ends, len(given.g.initializer), list(nodes(given.g.node))

    def nodes(given: Iterable[onnx.NodeProto]) -> Iterator[Any]:
        for node in given:
            attributes = [attribute(a) for a in sorted(node.attribute, key=lambda a: a.name)]
            yield node.domain, node.op_type, attributes, [number(name) for name in (*node.input, *node.output)]

    yield [number(name) for name in function.input]
    yield from nodes(function.node)
    yield [number(name) for name in function.output]
