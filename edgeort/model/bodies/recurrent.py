"""com.microsoft DynamicQuantizeLSTM: what ONNX Runtime's dynamic quantiser makes of LSTM.

By its definition in ONNX Runtime's docs/ContribOperators.md. Weights are what their integers stand for; that the input
and the state are rounded to eight bits is said beside the node (model/recurrence.py).
"""

from __future__ import annotations

import numpy as np

from edgeort.model.bodies.builder import FLOAT, Body, Unknown
from edgeort.model.bodies.microsoft import DOMAIN
from edgeort.model.recurrence import DYNAMIC

_WEIGHTS, _SCALES = (1, 2), 8  # W and R; their scales and zero points follow one another
_LEAST_OPSET = 13  # of DequantizeLinear with an axis
_OTHERS = range(3, 8)  # the bias, lengths, both states and the peephole are those of LSTM


def dynamic_lstm(b: Body) -> list[str]:
    """LSTM with weights [directions, k, gates * hidden], which LSTM has the other way round."""
    real = [_real(b, weight, _SCALES + 2 * at) for at, weight in enumerate(_WEIGHTS)]
    attributes = {name: found.value for name, found in b.node.attributes.items()}
    inputs = [b.input(0), *real, *map(b.input, _OTHERS)]
    while not inputs[-1]:
        inputs.pop()
    made = b.ops("LSTM", inputs, 3, **attributes)
    b.nodes[-1].metadata_props.add(key=DYNAMIC, value="1")
    return made[: len(b.node.outputs)]


def _real(b: Body, weight: int, scale: int) -> str:
    """float32 [directions, gates * hidden, k]; a direction has one scale, or one for each column.

    Where DequantizeLinear can say that, it does, so that the plan stores the integers.
    """
    integers, scales, zeros = (b.constant(index) for index in (weight, scale, scale + 1))
    if integers.ndim != 3 or scales.ndim not in (1, 2) or zeros.shape not in (scales.shape, ()):
        raise Unknown
    turned = integers.transpose(0, 2, 1)
    axis = 1 if scales.ndim == 2 and len(scales) == 1 else 0
    if b.opset >= _LEAST_OPSET and (scales.ndim == 1 or axis == 1):
        zeros = np.broadcast_to(zeros, scales.shape).reshape(-1)
        dtype = b.dtype(weight)
        operands = b.array(turned, dtype), b.array(scales.reshape(-1), FLOAT), b.array(zeros, dtype)
        return b.op("DequantizeLinear", *operands, axis=axis)
    scales, zeros = (array.reshape(len(scales), -1, 1) if array.ndim else array for array in (scales, zeros))
    return b.array((turned.astype(np.float32) - zeros.astype(np.float32)) * scales, FLOAT)


BODIES = {(DOMAIN, "DynamicQuantizeLSTM"): dynamic_lstm}
