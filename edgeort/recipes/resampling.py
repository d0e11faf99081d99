"""How pictures are resized: the results of Pillow and of OpenCV, in NumPy. The kernels have the same bits.

An axis has *taps*: output i is a weighted sum of the inputs from `first[i]` on. Both libraries go along rows first,
then down columns (Pillow the other way round where a picture is tall: `columns_first`); what lies between the passes,
and how numbers are rounded, is a method's arithmetic:

    bilinear, bicubic, box   Pillow: weights as wide as what a pixel covers, of 22 bits; bytes between the passes
    ... antialias=no         OpenCV's INTER_LINEAR and INTER_CUBIC (a = -0.75): 2 and 4 taps of 11 bits, 32-bit sums
    area                     OpenCV's INTER_AREA: float32 sums; whole ratios are sums of integers; upwards it is linear
    nearest                  OpenCV's INTER_NEAREST

The formulas are those of Pillow's Resample.c and OpenCV's resize.cpp. Results differ from OpenCV's by one level where
its own vector code rounds in another way than its plain code: docs/preprocessing.md has what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PILLOW_BITS = 22
OPENCV_BITS = 11
MOST_PIXELS = 1 << 23  # that are summed as integers

Axis = tuple[int, int, int, int]  # inputs; outputs of the whole; the first that is made, and how many are


@dataclass(frozen=True)
class Taps:
    """`first` int64 [n] may lie outside of the axis, whose nearest input is meant then; `weight` [n, taps].

    Weights are int32, of as many fraction bits as the method has, or float32. All sums fit these types.
    """

    first: np.ndarray
    weight: np.ndarray


def resized(pixels: np.ndarray, size: tuple[int, int], method: str, *, antialias: bool) -> np.ndarray:
    """Pixels uint8 [height, width, channels] in another size (height, width)."""
    return part(pixels, size, (0, 0, *size), method, antialias=antialias)


def part(
    pixels: np.ndarray, size: tuple[int, int], window: tuple[int, int, int, int], method: str, *, antialias: bool
) -> np.ndarray:
    """The window (top, left, height, width) of the pixels in another size, inside of which it lies."""
    top, left, height, width = window
    down, across = (pixels.shape[0], size[0], top, height), (pixels.shape[1], size[1], left, width)
    return _ARITHMETIC[arithmetic_of(method, antialias, down, across)](pixels, down, across)


def arithmetic_of(method: str, antialias: bool, down: Axis, across: Axis) -> str:
    """Which of the arithmetics below a method is."""
    if antialias:
        return f"pillow-{method}"
    rows, columns = opencv_scale(down), opencv_scale(across)
    whole = all(abs(side - round(side)) < np.finfo(np.float64).eps for side in (rows, columns))
    whole = whole and rows * columns <= MOST_PIXELS
    if method == "area":
        return "area-up" if min(rows, columns) < 1 else "whole" if whole else "area"
    if method == "bilinear" and whole and (round(rows), round(columns)) == (2, 2):
        return "whole"  # OpenCV does so, too
    return method


def opencv_scale(axis: Axis) -> float:
    """Inputs an output, by the two roundings that OpenCV has."""
    return 1.0 / (axis[1] / axis[0])


def pillow_taps(axis: Axis, method: str) -> Taps:
    """Weights of an antialiased method (Pillow: precompute_coeffs, normalize_coeffs_8bpc)."""
    inputs, outputs, begin, count = axis
    function, support = _FILTERS[method]
    scale = inputs / outputs
    wide = max(scale, 1.0)
    support *= wide
    centre = (np.arange(begin, begin + count) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), inputs)
    inverse = 1.0 / wide
    taps = int((last - first).max(initial=1))
    weight, total = np.zeros((count, taps)), np.zeros(count)
    for t in range(taps):  # in this order, since sums of floats depend on it
        here = first + t < last
        weight[:, t] = np.where(here, function((t + first - centre + 0.5) * inverse), 0.0)
        total += weight[:, t]
    weight = np.where(total[:, None] != 0.0, weight / np.where(total == 0.0, 1.0, total)[:, None], weight)
    scaled = weight * float(1 << PILLOW_BITS)
    return Taps(first, np.trunc(np.where(weight < 0, scaled - 0.5, scaled + 0.5)).astype(np.int32))


def columns_first(down: Axis, across: Axis) -> bool:
    """Whether Pillow, from version 13 on, goes down the columns before it goes along the rows."""
    lost, narrowed = down[0] - down[1], across[0] - across[1]
    return lost > 0 and lost > 2 * narrowed


def _box(x: np.ndarray) -> np.ndarray:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _triangle(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    return np.where(x < 1.0, 1.0 - x, 0.0)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys 1981, with a = -0.5."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_FILTERS = {"box": (_box, 0.5), "bilinear": (_triangle, 1.0), "bicubic": (_cubic, 2.0)}


def opencv_taps(axis: Axis, arithmetic: str, *, across: bool) -> Taps:
    """Weights of nearest, bilinear, bicubic and area-up, of 11 bits."""
    inputs, _, begin, count = axis
    scale, at = opencv_scale(axis), np.arange(begin, begin + count)
    if arithmetic == "nearest":
        return Taps(np.minimum(np.floor(at * scale).astype(np.int64), inputs - 1), np.ones((count, 1), np.int32))
    if arithmetic == "area-up":
        first = np.floor(at * scale).astype(np.int64)
        rest = ((at + 1) - (first + 1) * (axis[1] / axis[0])).astype(np.float32)
        rest = np.where(rest <= 0, np.float32(0), rest - np.floor(rest))
    else:
        place = ((at + 0.5) * scale - 0.5).astype(np.float32)
        first = np.floor(place).astype(np.int64)
        rest = place - first.astype(np.float32)
    if arithmetic == "bicubic":
        return Taps(first - 1, _rounded(_cubic_weights(rest)))
    if across:  # of columns OpenCV moves what lies outside to the edge, of rows it reads the edge twice
        outside = (first < 0) | (first >= inputs - 1)
        first, rest = np.clip(first, 0, inputs - 1), np.where(outside, np.float32(0), rest)
    return Taps(first, _rounded(np.stack([np.float32(1) - rest, rest], 1)))


def _cubic_weights(x: np.ndarray) -> np.ndarray:
    """OpenCV: interpolateCubic, in float32, with a = -0.75."""
    a, one = np.float32(-0.75), np.float32(1)
    near = x + one
    w0 = ((a * near - np.float32(5) * a) * near + np.float32(8) * a) * near - np.float32(4) * a
    w1 = ((a + np.float32(2)) * x - (a + np.float32(3))) * x * x + one
    far = one - x
    w2 = ((a + np.float32(2)) * far - (a + np.float32(3))) * far * far + one
    return np.stack([w0, w1, w2, one - w0 - w1 - w2], 1)


def _rounded(weight: np.ndarray) -> np.ndarray:
    return np.rint(weight * np.float32(1 << OPENCV_BITS)).astype(np.int32)


def area_taps(axis: Axis) -> Taps:
    """The shares that an output covers of its inputs (OpenCV: computeResizeAreaTab), float32."""
    inputs, _, begin, count = axis
    scale = opencv_scale(axis)
    begins = np.arange(begin, begin + count) * scale
    ends = begins + scale
    cell = np.minimum(scale, inputs - begins)
    whole_end = np.minimum(np.floor(ends).astype(np.int64), inputs - 1)
    whole = np.minimum(np.ceil(begins).astype(np.int64), whole_end)
    before, behind = whole - begins > 1e-3, ends - whole_end > 1e-3
    first = whole - before
    taps = int((whole_end + behind - first).max(initial=1))
    place = first[:, None] + np.arange(taps)
    share = np.where((place >= whole[:, None]) & (place < whole_end[:, None]), 1.0 / cell[:, None], 0.0)
    share = np.where((place < whole[:, None]) & before[:, None], ((whole - begins) / cell)[:, None], share)
    tail = (np.minimum(np.minimum(ends - whole_end, 1.0), cell) / cell)[:, None]
    return Taps(first, np.where((place == whole_end[:, None]) & behind[:, None], tail, share).astype(np.float32))


def _across(pixels: np.ndarray, taps: Taps) -> np.ndarray:
    """Sums of [height, width, channels] along the width, in the type of the weights."""
    return _down(np.ascontiguousarray(pixels.transpose(1, 0, 2)), taps).transpose(1, 0, 2)


def _down(pixels: np.ndarray, taps: Taps) -> np.ndarray:
    total = np.zeros((len(taps.first), *pixels.shape[1:]), taps.weight.dtype)
    for t in range(taps.weight.shape[1]):
        rows = pixels[np.clip(taps.first + t, 0, len(pixels) - 1)].astype(taps.weight.dtype)
        total += rows * taps.weight[:, t, None, None]
    return total


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _pillow(method: str, pixels: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    half = 1 << (PILLOW_BITS - 1)
    passes = [(_across, pillow_taps(across, method)), (_down, pillow_taps(down, method))]
    for go, taps in reversed(passes) if columns_first(down, across) else passes:
        pixels = _bytes((go(pixels, taps) + half) >> PILLOW_BITS)
    return pixels


def _linear(arithmetic: str, pixels: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    """The rows' sums lose bits before they are added, one by one."""
    lines = _across(pixels, opencv_taps(across, arithmetic, across=True)) >> 4
    taps = opencv_taps(down, arithmetic, across=False)
    above, below = (np.clip(taps.first + t, 0, len(lines) - 1) for t in (0, 1))
    top, bottom = (taps.weight[:, t, None, None] for t in (0, 1))
    return _bytes((((top * lines[above]) >> 16) + ((bottom * lines[below]) >> 16) + 2) >> 2)


def _bicubic(pixels: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    lines = _across(pixels, opencv_taps(across, "bicubic", across=True))
    total = _down(lines, opencv_taps(down, "bicubic", across=False))
    bits = 2 * OPENCV_BITS
    return _bytes((total + (1 << (bits - 1))) >> bits)


def _nearest(pixels: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    rows, columns = (opencv_taps(axis, "nearest", across=False).first for axis in (down, across))
    return pixels[rows][:, columns]


def _area(pixels: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    return _bytes(np.rint(_down(_across(pixels, area_taps(across)), area_taps(down))))


def _whole(pixels: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    """Means of whole pixels: the sum of four rounds halves up, all others to even in float32."""
    rows, columns = (max(axis[0] // axis[1], 1) for axis in (down, across))
    taps = [
        Taps(np.arange(axis[2], axis[2] + axis[3]) * n, np.ones((axis[3], n), np.int32))
        for axis, n in ((down, rows), (across, columns))
    ]
    total = _down(_across(pixels, taps[1]), taps[0])
    if (rows, columns) == (2, 2):
        return _bytes((total + 2) >> 2)
    return _bytes(np.rint(total.astype(np.float32) * (np.float32(1) / np.float32(rows * columns))))


_ARITHMETIC = {
    **{f"pillow-{method}": lambda *given, method=method: _pillow(method, *given) for method in _FILTERS},
    **{name: lambda *given, name=name: _linear(name, *given) for name in ("bilinear", "area-up")},
    "bicubic": _bicubic,
    "nearest": _nearest,
    "area": _area,
    "whole": _whole,
}
