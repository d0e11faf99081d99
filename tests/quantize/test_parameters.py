"""Scales and rounding: error bounds, zero is exact, biases fit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeort.quantize import parameters

ENDS = st.floats(0, 2.0**20, width=32)
POSITIVE = st.floats(2.0**-20, 2.0**20, width=32)
WEIGHTS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.floats(-100, 100, width=32)
)


@given(ENDS, ENDS, st.lists(st.floats(0, 1), min_size=1))
def test_activations_are_off_by_a_step_at_most(below: float, high: float, shares: list[float]):
    quantity = parameters.activation(-below, high)
    x = (-below + np.array(shares) * (high + below)).astype(np.float32)
    assert quantity.dequantize(np.array(quantity.zero, np.uint8)) == 0
    back = quantity.dequantize(quantity.quantize(x))
    # half a step; and half a step more at an end, where the zero point was rounded
    assert (np.abs(back - x) <= 1.001 * quantity.scale).all()
    inside = (x >= quantity.low) & (x <= quantity.high)
    assert (np.abs(back - x)[inside] <= 0.501 * quantity.scale).all()


@given(POSITIVE, POSITIVE)
def test_a_range_from_zero_saturates_at_zero(below: float, high: float):
    assert parameters.activation(0.0, high).low == 0.0
    assert parameters.activation(-below, 0.0).high == 0.0


@given(WEIGHTS, st.integers(0, 1))
def test_weights_are_off_by_half_a_step(weight: np.ndarray, axis: int):
    scales = parameters.weight_scales(weight, axis, None, np.float32(1))
    q = parameters.quantize_weight(weight, axis, scales)
    shape = [1] * weight.ndim
    shape[axis] = -1
    assert q.min() >= -127
    assert (np.abs(q * scales.reshape(shape) - weight) <= 0.5001 * scales.reshape(shape)).all()


@given(st.floats(0, 2.0**-10, width=32), st.floats(-(2.0**14), 2.0**14, width=32), st.floats(2.0**-20, 1, width=32))
def test_the_bias_of_a_nearly_dead_channel_fits(weight: float, bias: float, input_scale: float):
    weights, biases = np.full((1, 4), weight, np.float32), np.array([bias], np.float32)
    scales = parameters.weight_scales(weights, 0, biases, np.float32(input_scale)) * np.float32(input_scale)
    q = parameters.quantize_bias(biases, scales)
    assert abs(int(q[0])) <= parameters.BIAS_LIMIT * 1.001
    assert abs(q[0] * float(scales[0]) - bias) <= 0.5001 * scales[0] + 1e-6 * abs(bias)
