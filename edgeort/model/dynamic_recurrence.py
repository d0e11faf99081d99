"""Model-local functions of GRU and RNN that round their input and state: no runtime has an operator for them.

    y, h = DynamicQuantGRU(x, w, ws, r, rs, wb, rb, h0)

    x [steps, batch, k], w int8 [k, n], ws [n], r int8 [m, n], rs [n], wb and rb [n], h0 [batch, m]
    -> y [steps, batch, m], h [batch, m]

One direction of ONNX's GRU with linear_before_reset, or of its RNN, with the functions that those have unless told
otherwise, n = 3 m or m columns in the order of their gates. X, all of it, and the state before each product go through
DynamicQuantizeLinear; products are of integers. `Backwards` behind a name goes from the last step to the first. The
functions' bodies say it in standard operators, so that any runtime with functions computes it.
"""

from __future__ import annotations

import functools

import onnx
import onnx_ir as ir

from edgeort.model.dynamic_products import DOMAIN, same_body

LEAST_OPSET = 13
BACKWARDS = "Backwards"
OPERATORS = ("GRU", "RNN")

_PRODUCT = """{a}q, {a}s, {a}z = DynamicQuantizeLinear ({a}) {a}i = MatMulInteger ({a}q, {w}, {a}z)
    {a}f = Cast <to = 1> ({a}i) {a}c = Mul ({a}f, {w}s) {a}m = Mul ({a}c, {a}s) {a}p = Add ({a}m, {w}b)"""
_CELLS = {
    "GRU": """p_z, p_r, p_n = Split <SPLIT> (p) s_z, s_r, s_n = Split <SPLIT> (sp)
        a_z = Add (p_z, s_z) a_r = Add (p_r, s_r)
        z = Sigmoid (a_z) reset = Sigmoid (a_r) again = Mul (reset, s_n) a_n = Add (p_n, again) n = Tanh (a_n)
        one = Constant <value_float = 1.0> () rest = Sub (one, z) new = Mul (rest, n) old = Mul (z, s)
        t = Add (new, old) u = Identity (t)""",
    "RNN": "a = Add (p, sp) t = Tanh (a) u = Identity (t)",
}


def name(op_type: str, *, backwards: bool) -> str:
    """That of the function of GRU or RNN."""
    return f"DynamicQuant{op_type}{BACKWARDS if backwards else ''}"


@functools.cache
def _protos(opset: int) -> dict[str, onnx.FunctionProto]:
    split = "axis = -1" if opset < 18 else "axis = -1, num_outputs = 3"
    found = {}
    for op in OPERATORS:
        for backwards in (False, True):
            step = f"{_PRODUCT.format(a='s', w='r')} {_CELLS[op].replace('SPLIT', split)}"
            way = f"scan_input_directions = [{int(backwards)}], scan_output_directions = [{int(backwards)}]"
            body = f"""{name(op, backwards=backwards)} (x, w, ws, r, rs, wb, rb, h0) => (y, h) {{
                {_PRODUCT.format(a="x", w="w")}
                h, y = Scan <num_scan_inputs = 1, {way}, body = step (float[B, M] s, float[B, N] p) =>
                    (float[B, M] t, float[B, M] u) {{ {step} }}> (h0, xp) }}"""
            text = f'<domain: "{DOMAIN}", opset_import: ["": {opset}]> {body}'
            found[name(op, backwards=backwards)] = onnx.parser.parse_function(text)
    return found


def add_function(model: ir.Model, op_type: str, *, backwards: bool) -> str:
    """Makes sure that `model`, of opset 13 or newer, holds the function, whose name it returns."""
    chosen = name(op_type, backwards=backwards)
    if (DOMAIN, chosen, "") not in model.functions:
        proto = _protos(model.opset_imports[""])[chosen]
        model.functions[DOMAIN, chosen, ""] = ir.serde.deserialize_function(proto)
        model.opset_imports.setdefault(DOMAIN, 1)
    return chosen


def is_recurrence(function: ir.Function) -> bool:
    """Whether it is one of these, by its name and by what its body computes."""
    names = [name(op, backwards=backwards) for op in OPERATORS for backwards in (False, True)]
    if function.domain != DOMAIN or function.name not in names:
        return False
    return same_body(function, lambda opset: _protos(opset)[function.name])
