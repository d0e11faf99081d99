"""Products whose rows are quantised as the model runs: a call of the model-local function DynamicQuantMatMul.

    y = DynamicQuantMatMul(x, w, s)         x float32 [..., k], w int8 [k, n], s float32 [n] -> y float32 [..., n]

    a row of x:  low = min(x, 0)   high = max(x, 0)   r = max((high - low) / 255, 2^-126)   i = 1 / r
                 z = round(-low * i)   q = clip(round(x * i) + z, 0, 255)
    y = (float32(q . w - z * sum of w) * s) * r

in float32, the sums in int32; round is to the nearest, ties to even. The function's body says it in standard operators,
so that any runtime with model-local functions computes it; `inlined` is for those without. (A range for every row: Yao
et al. 2022, "ZeroQuant", section 4.1.)
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx.inliner
import onnx_ir as ir

from edgeort.passes.edit import add_constant, integer, new_node, opset, replace_node
from edgeort.passes.functions import DOMAIN
from edgeort.quantize.qdq import QuantizedLayer

NAME = "DynamicQuantMatMul"
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


def add_function(model: ir.Model) -> None:
    """Makes sure that `model`, of opset 13 or newer, holds the function."""
    identifier = (DOMAIN, NAME, "")
    if identifier in model.functions:
        return
    version = opset(model)
    if version < 18:  # where the axes of ReduceMax are an attribute
        body = _BODY.replace("LAST", "axes = [-1], keepdims = 1").replace("(x, last)", "(x)")
        body = body.replace("last = Constant <value_ints = [-1]> ()", "")
    else:
        body = _BODY.replace("LAST", "keepdims = 1")
    proto = onnx.parser.parse_function(f'<domain: "{DOMAIN}", opset_import: ["": {version}]> {body}')
    model.functions[identifier] = ir.serde.deserialize_function(proto)
    model.opset_imports.setdefault(DOMAIN, 1)


def call(model: ir.Model, quantized: QuantizedLayer) -> None:
    """Replaces a MatMul or Gemm by a call, and by an Add where it has a bias."""
    add_function(model)
    node, graph = quantized.layer.node, model.graph
    weight = quantized.weight
    assert weight.const_value is not None
    if node.op_type == "Gemm" and integer(node, "transB", 0):
        weight = add_constant(graph, weight.const_value.numpy().T, f"{weight.name}_transposed")
    scale = add_constant(graph, quantized.weight_scales, f"{weight.name}_scale")
    out, bias = node.outputs[0], node.inputs[2] if len(node.inputs) > 2 else None
    made = new_node(graph, NAME, [node.inputs[0], weight, scale], stem=str(node.name), domain=DOMAIN, like=out)
    if bias is None:
        replace_node(graph, node, made)
        return
    graph.insert_before(node, made)
    replace_node(graph, node, new_node(graph, "Add", [made.outputs[0], bias], stem=f"{node.name}_bias", like=out))


def inlined(model: bytes) -> bytes:
    """The model with the function's operators in place of the calls."""
    proto = onnx.inliner.inline_local_functions(onnx.ModelProto.FromString(model))
    kept = [entry for entry in proto.opset_import if entry.domain != DOMAIN]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    return proto.SerializeToString()
