"""Bodies of what ONNX Runtime's optimiser fuses, and of com.microsoft's names for what ONNX has by now.

By their definitions in ONNX Runtime's docs/ContribOperators.md.
"""

from __future__ import annotations

from edgeort.model.bodies.builder import Body, Unknown
from edgeort.model.bodies.microsoft import DOMAIN

# Activations by name: the attributes or, of Clip, the inputs that their parameters are.
_PARAMETERS = {
    "Clip": ("min", "max"),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Sigmoid": (),
    "Softplus": (),
    "Tanh": (),
}


def _activated(b: Body, x: str, name: str, values: list[float]) -> str:
    """The activation of that name, "" for none; parameters that are not given have their defaults."""
    if not name:
        return x
    if name not in _PARAMETERS:
        raise Unknown
    if name == "Clip":
        return b.op("Clip", x, *(b.number(float(value)) for value in values))
    return b.op(name, x, **dict(zip(_PARAMETERS[name], map(float, values), strict=False)))


def fused_conv(b: Body) -> list[str]:
    """Conv, to which another result may be added, and an activation."""
    given = b.given("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    y = b.op("Conv", *(name for name in b.names[:3] if name), **given)
    if b.has(3):
        y = b.op("Add", y, b.input(3))
    return [_activated(b, y, str(b.attribute("activation", "")), list(b.attribute("activation_params", [])))]


def fused_gemm(b: Body) -> list[str]:
    """Gemm and an activation."""
    y = b.op("Gemm", *(name for name in b.names[:3] if name), **b.given("alpha", "beta", "transA", "transB"))
    parameters = [b.attribute(f"activation_{name}") for name in ("alpha", "beta", "gamma")]
    name = str(b.attribute("activation"))
    return [_activated(b, y, name, [value for value in parameters if value is not None][: len(_PARAMETERS[name])])]


def trilu(b: Body) -> list[str]:
    """Trilu."""
    return [b.op("Trilu", *(name for name in b.names if name), upper=int(b.attribute("upper", 1)))]


def gather_nd(b: Body) -> list[str]:
    """GatherND without batch dimensions."""
    return [b.op("GatherND", *b.names[:2])]


def pad(b: Body) -> list[str]:
    """Pad."""
    amounts = b.op("Reshape", b.input(1), b.ints(-1))  # [2 * rank], or [1, 2 * rank]
    return [b.op("Pad", b.input(0), amounts, *filter(None, b.names[2:]), mode=str(b.attribute("mode", "constant")))]


def expand_dims(b: Body) -> list[str]:
    """Unsqueeze at a constant axis."""
    return [b.unsqueeze(b.input(0), int(b.constant(1).reshape(-1)[0]))]


BODIES = {
    (DOMAIN, "FusedConv"): fused_conv,
    (DOMAIN, "FusedGemm"): fused_gemm,
    (DOMAIN, "Trilu"): trilu,
    (DOMAIN, "GatherND"): gather_nd,
    (DOMAIN, "Pad"): pad,
    (DOMAIN, "ExpandDims"): expand_dims,
}
