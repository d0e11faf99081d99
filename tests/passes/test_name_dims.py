from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.passes import PassContext, run_passes
from edgeort.passes.edit import dims
from edgeort.passes.name_dims import name_dims
from tests.passes.harness import check, counts, model_of, random_feeds, random_weights, run_ort


def shapes(model: ir.Model) -> dict[str, list[int | str | None]]:
    return {v.name: dims(v) for node in model.graph for v in node.outputs if v.shape is not None}


def test_equal_sizes_get_equal_names() -> None:
    text = """g (float[N,4,?,?] x) => (float[A,B,C,D] y) { a = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w)
        b = Conv <pads = [1, 1, 1, 1]> (a, w)  c = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a)
        d = Add (b, c)  y = Concat <axis = 1> (d, a) }"""
    model = model_of(text, weights=random_weights(w=(4, 4, 3, 3)))
    model.graph.inputs[0].shape = ir.Shape(["N", 4, "?", "?"])
    run_passes(model, PassContext(check=True), (name_dims,))
    found = shapes(model)
    assert found["a"] == found["b"] == found["c"] == found["d"]
    assert found["a"][2] == "floor((x_dim2 - 1)/2) + 1"
    assert found["a"][2] != found["a"][3]


@pytest.mark.parametrize(
    "operation",
    [
        "Conv <strides = [2, 3], dilations = [1, 2], pads = [2, 0, 1, 0]> (x, w)",
        'Conv <strides = [2, 2], auto_pad = "SAME_UPPER"> (x, w)',
        'Conv <auto_pad = "VALID"> (x, w)',
        "ConvTranspose <strides = [2, 3], pads = [1, 0, 1, 2], output_padding = [1, 0]> (x, w)",
        "MaxPool <kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 1, 1]> (x)",
        "AveragePool <kernel_shape = [2, 3], strides = [2, 1]> (x)",
        'Resize <mode = "nearest"> (x, , scales)',
    ],
)
@pytest.mark.parametrize("sizes", [(13, 14), (20, 9)])
def test_the_expressions_are_right(operation: str, sizes: tuple[int, int]) -> None:
    """The name of a dimension, evaluated at the input's sizes, is the size ONNX Runtime finds."""
    weights = {**random_weights(w=(4, 4, 3, 3)), "scales": np.array([1, 1, 2, 3], np.float32)}
    text = f"g (float[N,4,H,W] x) => (float[A,B,C,D] y) {{ r = Relu (x) o = {operation} y = Identity (o) }}"
    model = model_of(text, weights={k: v for k, v in weights.items() if f" {k})" in operation})
    run_passes(model, PassContext(check=True), (name_dims,))
    height, width = sizes
    result = run_ort(model, random_feeds(model, {"N": 2, "H": height, "W": width}))[0]
    named = next(node for node in model.graph if node.outputs[0].name == "o").outputs[0].shape
    symbols = {"N": 2, "H": height, "W": width}
    assert [d if isinstance(d, int) else d.evaluate(symbols) for d in named] == list(result.shape)


def test_computed_targets_of_reshape_become_constants() -> None:
    text = """g (float[N,6,H,W] x) => (float[A,B,C] y)
        <int64[1] first = {0}, int64[1] second = {1}, int64[2] rest = {12, -1}> {
        h = Shape (x)  n = Slice (h, first, second)  t = Concat <axis = 0> (n, rest)  r = Reshape (x, t)
        h2 = Shape (r)  n2 = Gather (h2, first)  t2 = Concat <axis = 0> (n2, rest)  y = Reshape (r, t2) }"""
    model, ctx = check(model_of(text), (name_dims,), sizes={"N": 2, "H": 4, "W": 6})
    assert ctx.counts["name_dims"] == 2
    targets = [node.inputs[1].const_value.numpy().tolist() for node in model.graph if node.op_type == "Reshape"]
    assert targets == [[0, 12, -1], [0, 12, 0]]


def test_a_target_that_depends_on_two_sizes_stays() -> None:
    text = """g (float[N,6,H,W] x) => (float[A,B,C] y) <int64[2] last = {3, 2}, int64[1] rest = {-1}> {
        h = Shape (x)  p = Gather (h, last)  t = Concat <axis = 0> (p, rest)  y = Reshape (x, t) }"""
    model, ctx = check(model_of(text), (name_dims,), sizes={"N": 2, "H": 4, "W": 6})
    assert counts(model)["Concat"] == 1
    assert ctx.counts["name_dims"] == 0


def test_unknown_sizes_of_two_values_are_not_taken_for_equal() -> None:
    text = "g (float[N,?] x, float[N,?] z) => (float[A,B] y) { y = Add (x, z) }"
    model = model_of(text)
    for value in model.graph.inputs:
        value.shape = ir.Shape(["N", -1])
    run_passes(model, PassContext(), (name_dims,))
    assert dims(model.graph.inputs[0]) != dims(model.graph.inputs[1])
