"""The model-local functions that stand for what ONNX has no operator for.

Domain `edgeort`: activations and LayerNorm below the opset that brought the standard operator.
Domain `edgeort.nhwc`: an ONNX operator whose data input and output are channels-last; the body is
Transpose(to_nchw) -> the operator -> Transpose(to_nhwc), so that any ONNX runtime computes the same.
"""

from __future__ import annotations

import onnx
import onnx.defs
import onnx_ir as ir

DOMAIN = "edgeort"
NHWC = "edgeort.nhwc"

# Attention: Vaswani et al. 2017, arXiv:1706.03762; x is part x_part of Transpose<x_perm>.
_PARTS = "".join(
    f"{x}0 = Transpose <perm: ints = @{x}_perm> ({x}) {x}i = Constant <value_int: int = @{x}_part> () "
    f"{x}1 = Gather <axis = 0> ({x}0, {x}i) "
    for x in "qkv"
)
_ATTENTION = f"""<q_perm, k_perm, v_perm, q_part, k_part, v_part, out_perm, scale> (q, k, v, MASK) => (y) {{
    {_PARTS} kt = Transpose <perm = [0, 1, 3, 2]> (k1) f = Constant <value_float: float = @scale> () ks = Mul (kt, f)
    s = MatMul (q1, ks) ADD p = Softmax <axis = -1> (s) o = MatMul (p, v1)
    y = Transpose <perm: ints = @out_perm> (o) }}"""

COMPOSITES: dict[str, str] = {
    "Attention": "Attention " + _ATTENTION.replace(", MASK", "").replace("ADD", ""),
    "MaskedAttention": "MaskedAttention "
    + _ATTENTION.replace("MASK", "mask").replace("s = MatMul", "s0 = MatMul").replace("ADD", "s = Add (s0, mask)"),
    # A product of float rows, all quantised by one range as the model runs, by int8 weights.
    "TensorQuantMatMul": """TensorQuantMatMul (x, w, p0, s) => (y) {
        q, r, z = DynamicQuantizeLinear (x) p = MatMulInteger (q, w, z, p0) a = Cast <to = 1> (p)
        b = Mul (a, s) y = Mul (b, r) }""",
    # GELU: Hendrycks & Gimpel 2016, arXiv:1606.08415; Mish: Misra 2019, arXiv:1908.08681;
    # LayerNorm: Ba et al. 2016, arXiv:1607.06450, over the last axis.
    "Silu": "Silu (x) => (y) { s = Sigmoid (x) y = Mul (x, s) }",
    "Mish": "Mish (x) => (y) { p = Softplus (x) t = Tanh (p) y = Mul (x, t) }",
    "HardSwish": "HardSwish (x) => (y) { s = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul (x, s) }",
    "Gelu": """Gelu (x) => (y) {
        r = Constant <value_float = 1.4142135> () h = Constant <value_float = 0.5> ()
        o = Constant <value_float = 1.0> ()
        d = Div (x, r) e = Erf (d) f = Add (e, o) g = Mul (x, f) y = Mul (g, h) }""",
    "GeluTanh": """GeluTanh (x) => (y) {
        a = Constant <value_float = 0.044715> () b = Constant <value_float = 0.7978846> ()
        h = Constant <value_float = 0.5> () o = Constant <value_float = 1.0> ()
        x2 = Mul (x, x) x3 = Mul (x2, x) ax3 = Mul (x3, a) i = Add (x, ax3) bi = Mul (i, b)
        t = Tanh (bi) f = Add (t, o) g = Mul (x, f) y = Mul (g, h) }""",
    "LayerNorm": """LayerNorm <epsilon: float = 0.00001> (x, scale, bias) => (y) {
        m = ReduceMean <keepdims = 1, AXES> (x, AXES) d = Sub (x, m) dd = Mul (d, d)
        v = ReduceMean <keepdims = 1, AXES> (dd, AXES) eps = Constant <value_float: float = @epsilon> ()
        ve = Add (v, eps) s = Sqrt (ve) n = Div (d, s) ns = Mul (n, scale) y = Add (ns, bias) }""",
}


def composite(model: ir.Model, name: str) -> str:
    """Makes sure that `model` holds the composite `name`; returns its domain."""
    identifier = (DOMAIN, name, "")
    if identifier not in model.functions:
        version = _version(model)
        source = COMPOSITES[name]
        if version < 18:
            source = source.replace("AXES>", "axes = [-1]>").replace("(x, AXES)", "(x)").replace("(dd, AXES)", "(dd)")
        else:
            source = source.replace(", AXES>", ">").replace("AXES)", "axes)")
            source = source.replace("m = ReduceMean", "axes = Constant <value_ints = [-1]> () m = ReduceMean", 1)
        proto = onnx.parser.parse_function(f'<domain: "{DOMAIN}", opset_import: ["": {version}]> {source}')
        model.functions[identifier] = ir.serde.deserialize_function(proto)
        model.opset_imports.setdefault(DOMAIN, 1)
    return DOMAIN


def channels_last(model: ir.Model, op_type: str, inputs: int) -> str:
    """Makes sure that `model` holds the channels-last `op_type` with `inputs` inputs; returns its domain.

    The attributes are the operator's own in the model's opset, plus `to_nchw` and `to_nhwc` (INTS).
    """
    identifier = (NHWC, op_type, "")
    if identifier not in model.functions:
        version = _version(model)
        schema = onnx.defs.get_schema(op_type, version)
        types = {name: ir.AttributeType(int(a.type)) for name, a in schema.attributes.items()}  # type: ignore[call-overload]
        kept = [ir.RefAttr(name, name, kind) for name, kind in types.items()]
        values = [ir.Value(name=f"in{i}") for i in range(inputs)]
        first = ir.Node("", "Transpose", values[:1], [ir.RefAttr("perm", "to_nchw", ir.AttributeType.INTS)])
        body = ir.Node("", op_type, [first.outputs[0], *values[1:]], kept)
        last = ir.Node("", "Transpose", body.outputs, [ir.RefAttr("perm", "to_nhwc", ir.AttributeType.INTS)])
        graph = ir.Graph(values, last.outputs, nodes=[first, body, last], opset_imports={"": version}, name=op_type)
        declared = [ir.Attr(a.ref_attr_name or "", a.type, None) for a in kept]
        declared += [ir.Attr(name, ir.AttributeType.INTS, None) for name in ("to_nchw", "to_nhwc")]
        model.functions[identifier] = ir.Function(NHWC, op_type, graph=graph, attributes=declared)
        model.opset_imports.setdefault(NHWC, 1)
    return NHWC


def _version(model: ir.Model) -> int:
    return model.opset_imports.get("", model.opset_imports.get("ai.onnx", 1))
