"""com.microsoft QGemm: what ONNX Runtime's quantiser makes of Gemm in its operator format.

By its definition in ONNX Runtime's docs/ContribOperators.md. The bias is int32 at the product of both scales and alpha.
"""

from __future__ import annotations

from edgeort.model.bodies.builder import Body, Unknown
from edgeort.model.bodies.microsoft import DOMAIN

_A, _B, _BIAS, _RESULT = 0, 3, 6, 7


def qgemm(b: Body) -> list[str]:
    """Gemm of dequantised operands; quantised again where a scale of the result is given."""
    turned = bool(b.attribute("transB", 0))
    alpha = float(b.attribute("alpha", 1.0))
    scale_a, scale_b = b.input(_A + 1), b.input(_B + 1)
    if not (b.has(_A) and scale_a and b.has(_B) and scale_b):
        raise Unknown
    columns = b.rank(_B + 1) == 1 and b.dim(_B + 1, 0) > 1  # each has its scale
    if columns and b.opset < 13:
        raise Unknown
    along = {"axis": 0 if turned else 1} if columns else {}
    operands = [_real(b, _A, {}), _real(b, _B, along)]
    if b.has(_BIAS):
        scale = b.op("Mul", scale_a, scale_b)
        if alpha != 1.0:
            scale = b.op("Mul", scale, b.number(alpha, _A + 1))
        axis = {"axis": 0} if columns else {}
        operands.append(b.op("DequantizeLinear", b.input(_BIAS), scale, **axis))
    y = b.op("Gemm", *operands, alpha=alpha, transA=int(b.attribute("transA", 0)), transB=int(turned))
    if not b.has(_RESULT):
        return [y]
    return [b.op("QuantizeLinear", y, *(name for name in (b.input(_RESULT), b.input(_RESULT + 1)) if name))]


def _real(b: Body, first: int, axis: dict[str, int]) -> str:
    """x, its scale, its zero point where it has one."""
    return b.op("DequantizeLinear", *(name for name in (b.input(first + k) for k in range(3)) if name), **axis)


BODIES = {(DOMAIN, "QGemm"): qgemm}
