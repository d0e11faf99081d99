"""Operators that few models have, one plain kernel each: DFT, Det, DeformConv, TfIdfVectorizer, RandomUniform."""

from __future__ import annotations

import zlib

import numpy as np
import onnx_ir as ir

from edgeort.lowering.context import F32, Group, Lowering, attribute, choice, integer, integers, number, unsupported
from edgeort.lowering.layout import STRING
from edgeort.lowering.move import axis_params, integer_list, operand
from edgeort.lowering.params import PARAMS
from edgeort.lowering.typed import CODES, cast

_TFIDF_MODES = ("TF", "IDF", "TFIDF")
_LAST = 2**63 - 1


def dft(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """DFT; its axis an input or (opset < 20) an attribute."""
    flag = integer(node, "inverse", 0) | integer(node, "onesided", 0) << 1
    ctx.emit("DFT", node, axis_params(axis=integer(node, "axis", 1 if ctx.opset < 20 else -2), flag=flag))


def det(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Det."""
    ctx.emit("Det", node)


def deform_conv(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """DeformConv of two spatial axes; the end of the pads is in the shape of the offsets."""
    two = [[1, 1], [0, 0, 0, 0], [1, 1]]
    names = ("strides", "pads", "dilations")
    strides, pads, dilations = (integers(node, name) or fill for name, fill in zip(names, two, strict=True))
    if len(strides) != 2 or len(pads) != 4 or len(dilations) != 2:
        raise unsupported(node, "has a kernel for two spatial dimensions alone")
    values = [integer(node, "group", 1), integer(node, "offset_group", 1), *strides, *pads[:2], *dilations]
    ctx.emit("DeformConv", node, PARAMS["ListParams"].pack(count=8, values=values))


def tfidf(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """TfIdfVectorizer of integers or strings; its lists become operands."""
    columns = integers(node, "ngram_indexes") or []
    strings = attribute(node, "pool_strings")
    if strings:
        operands = [ctx.weights(f"{node.name}.pool", np.array(strings, object), STRING)]
    else:
        operands = [integer_list(ctx, node, "pool", integers(node, "pool_int64s") or [])]
    lists = (("counts", integers(node, "ngram_counts") or []), ("columns", columns))
    operands += [integer_list(ctx, node, name, values) for name, values in lists]
    weights = np.array(attribute(node, "weights") or np.ones(len(columns)), np.float32)
    values = [
        *(integer(node, name, 0) for name in ("min_gram_length", "max_gram_length", "max_skip_count")),
        choice(node, "mode", _TFIDF_MODES, "TF"),
    ]
    inputs = [ctx.value(node.inputs[0]), *operands, ctx.weights(f"{node.name}.weights", weights)]
    ctx.emit("TfIdfVectorizer", node, PARAMS["ListParams"].pack(count=4, values=values), inputs=inputs)


def random_uniform(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """RandomUniform and RandomUniformLike; without a seed the node's name is one."""
    like = operand(node, 0)
    if like is None:
        shape = integer_list(ctx, node, "shape", integers(node, "shape") or [])
    else:
        shape = ctx.plan.activation(f"{node.name}.shape", CODES["i64"])
        params = PARAMS["ListParams"].pack(count=2, values=[0, _LAST])
        ctx.emit("Shape", node, params, inputs=[ctx.value(like)], outputs=[shape])
    named = attribute(node, "seed") is None
    seed = zlib.crc32((node.name or "").encode() if named else np.float32(number(node, "seed", 0.0)).tobytes())
    code = ctx.code(node.outputs[0])
    out = ctx.result(node.outputs[0])
    made = out if code == F32 else ctx.plan.activation(f"{node.name}.f32")
    params = axis_params(axis=seed, value=number(node, "low", 0.0), value2=number(node, "high", 1.0))
    ctx.emit("RandomUniform", node, params, inputs=[shape], outputs=[made])
    if made != out:
        cast(ctx, node, made, code, out)


HANDLERS = {
    ("", "DFT"): dft,
    ("", "Det"): det,
    ("", "DeformConv"): deform_conv,
    ("", "TfIdfVectorizer"): tfidf,
    ("", "RandomUniform"): random_uniform,
    ("", "RandomUniformLike"): random_uniform,
}
