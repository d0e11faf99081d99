"""Where Resize reads: an output's weights over the inputs of one axis, as a matrix (ONNX, Resize, its formulas).

    x_in = the coordinate of output i by the mode; y[i] = sum over k of matrix[k, i] * x[k]
"""

from __future__ import annotations

import math

import numpy as np

from edgeort.converters.coreml.emission import Refused

_ROUND = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def coordinates(size: int, out: int, scale: float, mode: str) -> list[float]:
    """The place in an axis of `size` that each of `out` outputs reads."""
    if mode == "half_pixel":
        return [(i + 0.5) / scale - 0.5 for i in range(out)]
    if mode == "pytorch_half_pixel":
        return [(i + 0.5) / scale - 0.5 if out > 1 else 0.0 for i in range(out)]
    if mode == "half_pixel_symmetric":
        adjustment = out / (scale * size)
        return [size / 2 * (1 - adjustment) + (i + 0.5) / scale - 0.5 for i in range(out)]
    if mode == "align_corners":
        return [i * (size - 1) / (out - 1) if out > 1 else 0.0 for i in range(out)]
    if mode == "asymmetric":
        return [i / scale for i in range(out)]
    raise Refused(f"its coordinate_transformation_mode is {mode}")


def nearest(places: list[float], size: int, rounding: str) -> list[int]:
    """The index that each output takes."""
    return [min(max(int(_ROUND[rounding](place)), 0), size - 1) for place in places]


def linear_matrix(places: list[float], size: int) -> np.ndarray:
    """[size, out] float32 of linear interpolation between clamped neighbours."""
    matrix = np.zeros((size, len(places)), np.float64)
    for i, place in enumerate(places):
        place = min(max(place, 0.0), size - 1.0)
        first = min(int(math.floor(place)), size - 1)
        share = place - first
        matrix[first, i] += 1 - share
        matrix[min(first + 1, size - 1), i] += share
    return matrix.astype(np.float32)


def cubic_matrix(places: list[float], size: int, a: float, exclude_outside: bool) -> np.ndarray:
    """[size, out] float32 of Keys' cubic convolution (1981), with its coefficient `a`."""
    matrix = np.zeros((size, len(places)), np.float64)
    for i, place in enumerate(places):
        first = math.floor(place)
        taps = [(first + offset, _keys(place - first - offset, a)) for offset in (-1, 0, 1, 2)]
        if exclude_outside:
            taps = [(k, weight) for k, weight in taps if 0 <= k < size]
            total = sum(weight for _, weight in taps)
            taps = [(k, weight / total) for k, weight in taps]
        for k, weight in taps:
            matrix[min(max(k, 0), size - 1), i] += weight
    return matrix.astype(np.float32)


def _keys(distance: float, a: float) -> float:
    x = abs(distance)
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0
