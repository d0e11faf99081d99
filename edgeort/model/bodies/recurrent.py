"""com.microsoft DynamicQuantizeLSTM, which ONNX Runtime's dynamic quantiser makes of LSTM, and our own of GRU and RNN.

By its definition in ONNX Runtime's docs/ContribOperators.md. Weights are what their integers stand for; that the input
and the state are rounded to eight bits is said beside the node (model/recurrence.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.model import dynamic_products, dynamic_recurrence
from edgeort.model.bodies.builder import FLOAT, Body, Unknown
from edgeort.model.bodies.microsoft import DOMAIN
from edgeort.model.recurrence import DYNAMIC

_WEIGHTS, _SCALES = (1, 2), 8  # W and R; their scales and zero points follow one another
_LEAST_OPSET = 13  # of DequantizeLinear with an axis
_OTHERS = range(3, 8)  # the bias, lengths, both states and the peephole are those of LSTM
_LENGTHS = 4  # which directions share
_OF_FUNCTIONS = ("activations", "activation_alpha", "activation_beta")  # attributes with entries for each direction


@dataclass(frozen=True)
class _Weights:
    """Integers [directions, k, gates * hidden] as they are stored; scales and zeros [directions, columns or 1]."""

    integers: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray
    dtype: ir.DataType

    def direction(self, index: int) -> _Weights:
        """Those of one."""
        only = slice(index, index + 1)
        return _Weights(self.integers[only], self.scales[only], self.zeros[only], self.dtype)

    @property
    def share_columns(self) -> bool:
        """Whether directions have the same scales and zero points."""
        return all(bool((array == array[:1]).all()) for array in (self.scales, self.zeros))


def dynamic_lstm(b: Body) -> list[str]:
    """LSTM with weights [directions, gates * hidden, k]; one for each direction where scales leave no other way."""
    weights = [_weights(b, weight, _SCALES + 2 * at) for at, weight in enumerate(_WEIGHTS)]
    attributes = {name: found.value for name, found in b.node.attributes.items()}
    others = [b.input(index) for index in _OTHERS]
    whole = all(each.scales.shape[1] == 1 or each.share_columns for each in weights)
    if whole or attributes.keys() & _OF_FUNCTIONS or b.opset < _LEAST_OPSET:
        return _lstm(b, weights, others, attributes)[: len(b.node.outputs)]
    made = []
    for index, direction in enumerate(("forward", "reverse")):
        own = [
            b.slice(name, index, index + 1, 0) if name and at != _LENGTHS else name
            for at, name in zip(_OTHERS, others, strict=True)
        ]
        parts = [each.direction(index) for each in weights]
        made.append(_lstm(b, parts, own, {**attributes, "direction": direction}))
    axes = (1, 0, 0)  # of directions in Y, Y_h and Y_c
    joined = [b.op("Concat", *pair, axis=axis) for pair, axis in zip(zip(*made, strict=True), axes, strict=True)]
    return joined[: len(b.node.outputs)]


def _lstm(b: Body, weights: Sequence[_Weights], others: Sequence[str], attributes: Mapping[str, Any]) -> list[str]:
    inputs = [b.input(0), *(_real(b, each) for each in weights), *others]
    while not inputs[-1]:
        inputs.pop()
    made = b.ops("LSTM", inputs, 3, **attributes)
    b.nodes[-1].metadata_props.add(key=DYNAMIC, value="1")
    return made


def _weights(b: Body, weight: int, scale: int) -> _Weights:
    """A direction has one scale, or one for each column."""
    integers, scales, zeros = (b.constant(index) for index in (weight, scale, scale + 1))
    if integers.ndim != 3 or scales.ndim not in (1, 2) or zeros.shape not in (scales.shape, ()):
        raise Unknown
    shape = len(scales), -1
    return _Weights(
        integers, scales.reshape(shape), np.broadcast_to(zeros, scales.shape).reshape(shape), b.dtype(weight)
    )


def _real(b: Body, weights: _Weights) -> str:
    """float32 [directions, gates * hidden, k], by a DequantizeLinear where one says it: plans then store integers."""
    turned, axis = weights.integers.transpose(0, 2, 1), 0
    scales, zeros = weights.scales, weights.zeros
    if scales.shape[1] > 1 and weights.share_columns:
        scales, zeros, axis = scales[0, :, None], zeros[0, :, None], 1
    if b.opset >= _LEAST_OPSET and scales.shape[1] == 1:
        constants = b.array(scales.reshape(-1), FLOAT), b.array(zeros.reshape(-1), weights.dtype)
        return b.op("DequantizeLinear", b.array(turned, weights.dtype), *constants, axis=axis)
    real = turned.astype(np.float32) - zeros[..., None].astype(np.float32)
    return b.array(real * scales[..., None], FLOAT)


def _own(op_type: str, direction: str) -> Callable[[Body], list[str]]:
    """One direction of GRU or RNN (model/dynamic_recurrence.py)."""

    def body(b: Body) -> list[str]:
        sides = []
        for at in (1, 3):
            integers, scales = b.constant(at), b.constant(at + 1)
            zeros = np.zeros(scales.shape, integers.dtype)
            sides.append(_Weights(integers[None], scales[None], zeros[None], b.dtype(at)))
        bias = np.concatenate([b.constant(5), b.constant(6)])[None]
        inputs = [b.input(0), *(_real(b, side) for side in sides), b.array(bias, FLOAT), "", b.unsqueeze(b.input(7), 0)]
        more: dict[str, Any] = {"linear_before_reset": 1} if op_type == "GRU" else {}
        hidden = len(sides[1].integers[0])
        y, h = b.ops(op_type, inputs, 2, hidden_size=hidden, direction=direction, **more)
        b.nodes[-1].metadata_props.add(key=DYNAMIC, value="1")
        return [b.squeeze(y, 1), b.squeeze(h, 0)]

    return body


BODIES = {
    (DOMAIN, "DynamicQuantizeLSTM"): dynamic_lstm,
    **{
        (dynamic_products.DOMAIN, dynamic_recurrence.name(op, backwards=direction == "reverse")): _own(op, direction)
        for op in dynamic_recurrence.OPERATORS
        for direction in ("forward", "reverse")
    },
}
