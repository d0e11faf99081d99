"""Elementwise operators on any element type, comparisons, Where and Cast (runtime/kernels/typed).

float32 operators of one or two operands are programs (lowering/program.py); what stands here takes the other element
types, more operands, and limits that are no constants. float16 and bfloat16 come as float32 (lowering/half.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import F32, Group, Lowering, attribute, choice, integer, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import dtype_code

CODES = {name: code for code, (name, _, _) in enumerate(layout.DTYPES)}
_INTEGERS = frozenset(CODES[name] for name in ("u8", "i8", "u16", "i16", "i32", "i64", "u32", "u64"))
_UNSIGNED = frozenset(CODES[name] for name in ("u8", "u16", "u32", "u64"))
_FLOATS = frozenset((F32, CODES["f64"]))
_NUMBERS = _INTEGERS | _FLOATS
_SIGNED = _INTEGERS - _UNSIGNED | {CODES["f64"]}
_F64 = frozenset((CODES["f64"],))
_BOOLEAN = frozenset((CODES["boolean"],))

# Kernels that are called what ONNX calls them -> element types.
_SAME: dict[str, frozenset[int]] = {
    "Add": _NUMBERS,
    "Sub": _NUMBERS,
    "Mul": _NUMBERS,
    "Div": _NUMBERS,
    "PRelu": _NUMBERS,
    "And": _BOOLEAN,
    "Or": _BOOLEAN,
    "Xor": _BOOLEAN,
    "Not": _BOOLEAN,
    "BitwiseAnd": _INTEGERS,
    "BitwiseOr": _INTEGERS,
    "BitwiseXor": _INTEGERS,
    "BitwiseNot": _INTEGERS,
    "Equal": _NUMBERS | _BOOLEAN | {layout.STRING},
    "Less": _NUMBERS,
    "LessOrEqual": _NUMBERS,
    "Abs": _NUMBERS,
    "Neg": _SIGNED,
    "Sign": _NUMBERS,
    "Relu": _SIGNED,
    "Round": _F64,
    "Floor": _F64,
    "Ceil": _F64,
    "Sqrt": _F64,
    "Reciprocal": _F64,
    "IsNaN": _FLOATS,
}
# Types that are only stored -> those that they are computed in.
SMALL = {
    **dict.fromkeys(
        (CODES[name] for name in ("f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "f8e8m0", "f4e2m1")), F32
    ),
    **dict.fromkeys((CODES[name] for name in ("i4", "u4", "i2", "u2")), CODES["i32"]),
}
_ROUND_MODES = ("up", "down", "nearest")
_FLOAT64_HINT = "convert the model to float32: kernels exist for that"


def cast(ctx: Lowering, node: ir.Node, tensor: int, to: int, out: int | None = None, mode: int = 0) -> int:
    """The tensor in element type `to`, in `out` or in a new tensor; `mode` is for small floats (`_cast_mode`)."""
    if out is None:
        out = ctx.plan.activation(f"{node.name}.cast", to)
    source = ctx.plan.tensors[tensor].dtype
    if source in SMALL and to != source:
        wide = out if to == SMALL[source] else ctx.plan.activation(f"{node.name}.wide", SMALL[source])
        ctx.emit("FromSmall", node, inputs=[tensor], outputs=[wide])
        return out if wide == out else cast(ctx, node, wide, to, out, mode)
    if to in SMALL and source not in (to, SMALL[to]):
        tensor = cast(ctx, node, tensor, SMALL[to])
    op = "ToSmall" if to in SMALL and source != to else "Cast"
    ctx.emit(op, node, PARAMS["AxisParams"].pack(axis=mode, flag=to), inputs=[tensor], outputs=[out])
    return out


def _cast_mode(node: ir.Node) -> int:
    """Bit 0: what is too large becomes infinity or NaN. Above it: how a power of two is rounded."""
    return (1 - integer(node, "saturate", 1)) | choice(node, "round_mode", _ROUND_MODES, "up") << 1


def _emit(ctx: Lowering, node: ir.Node, op: str, types: frozenset[int], inputs: Sequence[int] | None = None) -> None:
    code = ctx.code(node.inputs[0])  # type: ignore[arg-type]
    if code not in types:
        name = layout.DTYPES[code][0]
        raise unsupported(node, f"has no kernel for element type {name}", _FLOAT64_HINT if name == "f64" else None)
    ctx.emit(op, node, inputs=inputs)


def _same(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _emit(ctx, node, node.op_type, _SAME[node.op_type])


def _of_float64(op: str) -> Callable[[Lowering, ir.Node, Group], None]:
    """float32 is a program."""
    return lambda ctx, node, group: _emit(ctx, node, op, _F64)


def _swapped(op: str) -> Callable[[Lowering, ir.Node, Group], None]:
    """a > b is b < a."""
    return lambda ctx, node, group: _emit(ctx, node, op, _NUMBERS, ctx.values(node)[::-1])


def _fold(op: str) -> Callable[[Lowering, ir.Node, Group], None]:
    """Any number of operands, from the left; one alone is a copy."""

    def handler(ctx: Lowering, node: ir.Node, group: Group) -> None:
        if len(node.inputs) == 1:
            copy(ctx, node, group)
        else:
            _emit(ctx, node, op, _NUMBERS)

    return handler


def copy(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """The first operand itself."""
    tensor = ctx.value(node.inputs[0])
    cast(ctx, node, tensor, ctx.code(node.inputs[0]), ctx.result(node.outputs[0]))  # type: ignore[arg-type]


def _scalar(ctx: Lowering, node: ir.Node, number: float, code: int) -> int:
    dtype = ir.DataType(layout.DTYPES[code][1]).numpy()
    return ctx.weights(f"{node.name}.{number}", np.array(number, dtype), code)


def _mean(ctx: Lowering, node: ir.Node, group: Group) -> None:
    count = len(node.inputs)
    if count == 1:
        copy(ctx, node, group)
        return
    code = ctx.code(node.inputs[0])  # type: ignore[arg-type]
    if code not in _FLOATS:
        raise unsupported(node, f"has no kernel for element type {layout.DTYPES[code][0]}")
    total = ctx.plan.activation(f"{node.name}.sum", code)
    ctx.emit("Add", node, outputs=[total])
    ctx.emit("Div", node, inputs=[total, _scalar(ctx, node, count, code)])


def _mod(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _emit(ctx, node, "Fmod" if integer(node, "fmod", 0) else "Mod", _NUMBERS)


def _shift(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _emit(ctx, node, ("ShiftLeft", "ShiftRight")[choice(node, "direction", ("LEFT", "RIGHT"), "")], _INTEGERS)


def _is_inf(ctx: Lowering, node: ir.Node, group: Group) -> None:
    positive, negative = integer(node, "detect_positive", 1), integer(node, "detect_negative", 1)
    if not positive and not negative:
        raise unsupported(node, "detects neither infinity", "replace it with a constant")
    _emit(ctx, node, "IsInf" if positive and negative else "IsPositiveInf" if positive else "IsNegativeInf", _FLOATS)


def _pow(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Integers to integers exactly; else in float32, and the result is of the base's type."""
    base, exponent = node.inputs[0], node.inputs[1]
    assert base is not None and exponent is not None
    code, other = ctx.code(base), ctx.code(exponent)
    if CODES["f64"] in (code, other):
        raise unsupported(node, "has no kernel for element type f64", _FLOAT64_HINT)
    if code in _INTEGERS and other in _INTEGERS:
        power = ctx.value(exponent) if other == code else cast(ctx, node, ctx.value(exponent), code)
        ctx.emit("Pow", node, inputs=[ctx.value(base), power])
        return
    operands = [
        t if c == F32 else cast(ctx, node, t, F32) for t, c in ((ctx.value(base), code), (ctx.value(exponent), other))
    ]
    out = ctx.result(node.outputs[0]) if code == F32 else ctx.plan.activation(f"{node.name}.f32")
    program = layout.PROGRAM.pack(count=1, operands=2, registers=3, result=2)
    ctx.plan.uops.add("Pow")
    instruction = layout.INSTRUCTION.pack(uop=layout.UOPS.index("Pow"), dst=2, a=0, b=1)
    params = PARAMS["ElementwiseParams"].pack(program=program) + instruction
    ctx.emit("Elementwise", node, params, inputs=operands, outputs=[out])
    if code != F32:
        cast(ctx, node, out, code, ctx.result(node.outputs[0]))


def _clip(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Max with the lower limit, then Min with the upper."""
    code = ctx.code(node.inputs[0])  # type: ignore[arg-type]
    limits = []
    for index, name, op in ((1, "min", "Max"), (2, "max", "Min")):
        if index < len(node.inputs) and node.inputs[index] is not None:
            limits.append((op, ctx.value(node.inputs[index])))
        elif (number := attribute(node, name)) is not None:
            limits.append((op, _scalar(ctx, node, float(number), code)))  # type: ignore[arg-type]
        elif code in _FLOATS:
            finfo = np.finfo(np.float32 if code == F32 else np.float64)
            limits.append((op, _scalar(ctx, node, float(getattr(finfo, name)), code)))
    if not limits:
        copy(ctx, node, group)
        return
    tensor = ctx.value(node.inputs[0])
    for op, limit in limits[:-1]:
        between = ctx.plan.activation(f"{node.name}.{op}", code)
        ctx.emit(op, node, inputs=[tensor, limit], outputs=[between])
        tensor = between
    _emit(ctx, node, limits[-1][0], _NUMBERS, [tensor, limits[-1][1]])


def _where(ctx: Lowering, node: ir.Node, group: Group) -> None:
    ctx.emit("Where", node)


def _cast(ctx: Lowering, node: ir.Node, group: Group) -> None:
    like = node.inputs[1] if node.op_type == "CastLike" else None
    to = ctx.code(like) if like is not None else dtype_code(integer(node, "to", 1), f"node {node.name!r}")
    cast(ctx, node, ctx.value(node.inputs[0]), to, ctx.result(node.outputs[0]), _cast_mode(node))


def _bit_cast(ctx: Lowering, node: ir.Node, group: Group) -> None:
    to = dtype_code(integer(node, "to", 1), f"node {node.name!r}")
    ctx.emit("BitCast", node, PARAMS["AxisParams"].pack(flag=to))


HANDLERS: dict[tuple[str, str], Callable[[Lowering, ir.Node, Group], None]] = {
    **{("", name): _same for name in _SAME},
    **{("", name): _of_float64(f"{name}64") for name in ("Exp", "Log", "Sin", "Cos")},
    ("", "Greater"): _swapped("Less"),
    ("", "GreaterOrEqual"): _swapped("LessOrEqual"),
    ("", "Sum"): _fold("Add"),
    ("", "Min"): _fold("Min"),
    ("", "Max"): _fold("Max"),
    ("", "Mean"): _mean,
    ("", "Mod"): _mod,
    ("", "BitShift"): _shift,
    ("", "IsInf"): _is_inf,
    ("", "Pow"): _pow,
    ("", "Clip"): _clip,
    ("", "Where"): _where,
    ("", "Cast"): _cast,
    ("", "CastLike"): _cast,
    ("", "BitCast"): _bit_cast,
}
