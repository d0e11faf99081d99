from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes.fold_pad import fold_pad
from tests.passes.harness import check, counts, model_of, random_weights

PADS = np.array([0, 0, 1, 2, 0, 0, 0, 1], np.int64)


def graph(pad: str, operation: str) -> str:
    return f"""g (float[N,4,8,9] x) => (float[N,K,P,Q] y) <float zero = {{0}}, float one = {{1}},
        float[1] low = {{-3.4028235e38}}, int64[2] axes = {{2, -1}}, int64[4] four = {{1, 1, 1, 1}}> {{
        r = Relu (x)  p = {pad}  y = {operation} }}"""


@pytest.mark.parametrize(
    ("pad", "operation"),
    [
        ("Pad (x, pads)", "Conv (p, w)"),
        ("Pad (x, pads, zero)", "Conv <pads = [1, 0, 0, 1], strides = [2, 2]> (p, w)"),
        ("Pad (x, four, zero, axes)", "Conv <group = 1> (p, w)"),
        ("Pad (x, pads)", "AveragePool <kernel_shape = [3, 3]> (p)"),
        ("Pad (x, pads)", "AveragePool <kernel_shape = [4, 4], pads = [1, 1, 1, 1], count_include_pad = 1> (p)"),
        ("Pad (r, pads)", "MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (p)"),
        ("Pad (x, pads, low)", "MaxPool <kernel_shape = [3, 3]> (p)"),
    ],
)
def test_folds(pad: str, operation: str) -> None:
    weights = {**random_weights(w=(5, 4, 3, 3)), "pads": PADS}
    text = graph(pad, operation)
    opset = 18 if "axes)" in pad else 17
    model = model_of(text, opset=opset, weights={k: v for k, v in weights.items() if f", {k}" in pad + operation})
    model, ctx = check(model, (fold_pad,), sizes={"N": 2})
    assert "Pad" not in counts(model)
    assert not ctx.log


@pytest.mark.parametrize(
    ("pad", "operation", "sentence"),
    [
        ("Pad (x, pads, one)", "Conv (p, w)", "Conv pads with 0"),
        ('Pad <mode = "reflect"> (x, pads)', "Conv (p, w)", "by reflect"),
        ("Pad (x, batch)", "Conv (p, w)", "batch or channels"),
        ("Pad (x, crop)", "Conv (p, w)", "crops"),
        ("Pad (x, pads)", 'Conv <auto_pad = "SAME_UPPER"> (p, w)', "chooses its pads by itself"),
        ("Pad (x, pads)", "MaxPool <kernel_shape = [3, 3]> (p)", "could be the largest"),
        ("Pad (r, pads)", "MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (p)", "wholly in the padding"),
        ("Pad (r, pads)", "MaxPool <kernel_shape = [3, 2]> (p)", "wholly in the padding"),
        ("Pad (r, pads)", "MaxPool <kernel_shape = [3, 3], ceil_mode = 1, strides = [2, 2]> (p)", "rounds its size up"),
        ("Pad (x, pads)", "AveragePool <kernel_shape = [4, 4], pads = [1, 1, 1, 1]> (p)", "count in the average"),
    ],
)
def test_near_misses_stay(pad: str, operation: str, sentence: str) -> None:
    arrays = {
        **random_weights(w=(5, 4, 3, 3)),
        "pads": PADS,
        "batch": np.array([0, 0, 0, 0, 1, 0, 0, 0], np.int64),
        "crop": np.array([0, 0, -1, 0, 0, 0, 0, 0], np.int64),
    }
    weights = {k: v for k, v in arrays.items() if f", {k}" in pad + operation}
    model, ctx = check(model_of(graph(pad, operation), weights=weights), (fold_pad,), sizes={"N": 2})
    assert counts(model)["Pad"] == 1
    assert sentence in str(ctx.log[0])


def test_a_pad_with_two_readers_stays() -> None:
    text = "g (float[1,4,8,9] x) => (float[1,5,P,Q] y, float[1,4,9,12] p) { p = Pad (x, pads)  y = Conv (p, w) }"
    model, ctx = check(model_of(text, weights={**random_weights(w=(5, 4, 3, 3)), "pads": PADS}), (fold_pad,))
    assert counts(model)["Pad"] == 1
    assert "used elsewhere" in str(ctx.log[0])
