"""Bodies of signal processing: STFT and MelWeightMatrix, by their definitions in the ONNX specification."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgeort.model.bodies.builder import DOUBLE, INT64, Body, Unknown

PRODUCT_LIMIT = 512  # entries of a frame: a matrix of 1 MiB


def stft(b: Body) -> list[str]:
    """Of [batch, n, 1 or 2], or [batch, n] as PyTorch writes it, to [batch, frame, frequency, 2]."""
    one = b.array(1, INT64)
    signal = b.unsqueeze(b.input(0), 2) if b.rank(0) == 2 else b.input(0)
    step = b.op("Reshape", b.cast(b.input(1), INT64), b.ints())
    if b.has(3):
        length = b.op("Reshape", b.cast(b.input(3), INT64), b.ints())
    else:
        length = b.size(b.input(2) if b.has(2) else signal, 0 if b.has(2) else 1)
    room = b.op("Sub", b.size(signal, 1), length)
    frames = b.range(b.op("Add", b.op("Div", room, step), one))
    starts = b.unsqueeze(b.op("Mul", frames, step), 1)
    onesided = int(b.attribute("onesided", 1))
    made = _as_product(b, starts, onesided)
    if made:
        return [made]
    framed = b.op("Gather", signal, b.op("Add", starts, b.unsqueeze(b.range(length), 0)), axis=1)
    if b.has(2):
        framed = b.op("Mul", framed, b.unsqueeze(b.input(2), 1))
    if b.opset < 20:
        return [b.op("DFT", framed, axis=2, onesided=onesided)]
    return [b.op("DFT", framed, "", b.array(2, INT64), onesided=onesided)]


def _as_product(b: Body, starts: str, onesided: int) -> str:
    """Frames of a real signal times a matrix of cosines and sines that the window scales; "" where it would be large.

    Many rows make a product of up to some hundred terms faster than a transform for each.
    """
    data = b.node.inputs[0]
    if data is None or data.dtype != ir.DataType.FLOAT or not (b.rank(0) == 2 or b.dim(0, 2) == 1):
        return ""
    try:
        window = b.constant(2).astype(np.float64) if b.has(2) else None
        length = int(b.constant(3).reshape(-1)[0]) if b.has(3) else len(window if window is not None else ())
    except Unknown:
        return ""
    if not 1 <= length <= PRODUCT_LIMIT or (window is not None and window.shape != (length,)):
        return ""
    bins = length // 2 + 1 if onesided else length
    turns = np.outer(np.arange(length), np.arange(bins)) % length * (2 * np.pi / length)
    matrix = np.stack([np.cos(turns), -np.sin(turns)], axis=2).reshape(length, 2 * bins)
    if window is not None:
        matrix *= window[:, None]
    signal = b.input(0) if b.rank(0) == 2 else b.squeeze(b.input(0), 2)
    at = b.op("Add", starts, b.array([np.arange(length)], INT64))
    product = b.op("MatMul", b.op("Gather", signal, at, axis=1), b.array(matrix, ir.DataType.FLOAT))
    return b.op("Reshape", product, b.ints(0, 0, bins, 2))


def mel_weight_matrix(b: Body) -> list[str]:
    """Triangles over the bins of a spectrum, evenly spread on the mel scale (2595 log10(1 + f / 700))."""
    bins, dft_length, rate = (b.op("Reshape", b.cast(b.input(i), INT64), b.ints()) for i in range(3))
    low, high = (b.op("Reshape", b.cast(b.input(i), DOUBLE), b.ints()) for i in (3, 4))

    def f(value: float) -> str:
        return b.array(value, DOUBLE)

    def mel(hertz: str) -> str:
        log = b.op("Log", b.op("Add", b.op("Div", hertz, f(700)), f(1)))
        return b.op("Mul", log, f(2595 / math.log(10)))

    edges = b.op("Add", bins, b.array(2, INT64))
    step = b.op("Div", b.op("Sub", mel(high), mel(low)), b.cast(edges, DOUBLE))
    mels = b.op("Add", b.op("Mul", b.cast(b.range(edges), DOUBLE), step), mel(low))
    hertz = b.op("Mul", b.op("Sub", b.op("Exp", b.op("Mul", mels, f(math.log(10) / 2595))), f(1)), f(700))
    per = b.op(
        "Div", b.op("Mul", hertz, b.cast(b.op("Add", dft_length, b.array(1, INT64)), DOUBLE)), b.cast(rate, DOUBLE)
    )
    at = b.op("Floor", per)
    lower, center, upper = (
        b.unsqueeze(b.op("Slice", at, b.ints(k), b.ints(k - 2 if k < 2 else 2**31)), 0) for k in range(3)
    )
    half = b.op("Add", b.op("Div", dft_length, b.array(2, INT64)), b.array(1, INT64))
    line = b.unsqueeze(b.cast(b.range(half), DOUBLE), 1)
    rise, fall = b.op("Sub", center, lower), b.op("Sub", upper, center)
    one = f(1)
    up = b.op("Div", b.op("Sub", line, lower), b.op("Where", b.op("Equal", rise, f(0)), one, rise))
    down = b.op("Div", b.op("Sub", upper, line), b.op("Where", b.op("Equal", fall, f(0)), one, fall))
    inside = b.op("And", b.op("GreaterOrEqual", line, lower), b.op("Less", line, center))
    behind = b.op("And", b.op("GreaterOrEqual", line, center), b.op("Less", line, upper))
    peak = b.op("Equal", line, center)
    made = b.op("Where", inside, up, b.op("Where", behind, down, f(0)))
    to = ir.DataType(int(b.attribute("output_datatype", ir.DataType.FLOAT.value)))
    return [b.cast(b.op("Where", peak, one, made), to)]


BODIES = {("", "STFT"): stft, ("", "MelWeightMatrix"): mel_weight_matrix}
