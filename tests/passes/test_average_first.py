from __future__ import annotations

import pytest

from edgeort.passes.average_first import average_first
from tests.passes.harness import check, model_of, random_weights

WEIGHTS = {"w": (6, 4, 1, 1), "v": (4, 4, 1, 1), "g": (4, 2, 1, 1), "few": (2, 4, 1, 1), "k": (6, 4, 3, 3), "b": (6,)}


def run(body: str, outputs: str = "float[N,A,1,1] y") -> tuple[list[str], str]:
    weights = {name: array for name, array in random_weights(**WEIGHTS).items() if f", {name}" in body}
    model, ctx = check(model_of(f"g (float[N,4,5,7] x) => ({outputs}) {{ {body} }}", weights=weights), (average_first,))
    return [node.op_type for node in model.graph], " | ".join(map(str, ctx.log))


@pytest.mark.parametrize(
    "conv", ["Conv (x, w, b)", "Conv <pads = [0, 0, 0, 0]> (x, v)", "Conv <group = 2> (x, g)", "Conv (x, few)"]
)
def test_the_average_comes_first(conv: str) -> None:
    assert run(f"c = {conv} y = GlobalAveragePool (c)")[0] == ["GlobalAveragePool", "Conv"]


def test_a_convolution_with_other_readers_is_computed_too() -> None:
    body = "c = Conv (x, w, b) p = GlobalAveragePool (c) y = Mul (c, p)"
    assert run(body, "float[N,6,5,7] y")[0] == ["Conv", "GlobalAveragePool", "Conv", "Mul"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("c = Conv (x, k, b) y = GlobalAveragePool (c)", "more than one position"),
        ("c = Conv <strides = [2, 1]> (x, w) y = GlobalAveragePool (c)", "strides or pads"),
        ("c = Conv <pads = [1, 0, 0, 0]> (x, w) y = GlobalAveragePool (c)", "strides or pads"),
        ("c = Conv (x, few) p = GlobalAveragePool (c) m = Mul (c, p) y = GlobalMaxPool (m)", "more channels"),
    ],
)
def test_near_misses_stay(body: str, sentence: str) -> None:
    found, log = run(body)
    assert found[:2] == ["Conv", "GlobalAveragePool"]
    assert sentence in log


def test_an_activation_between_is_no_match() -> None:
    found, log = run("c = Conv (x, w, b) r = Relu (c) y = GlobalAveragePool (r)")
    assert found == ["Conv", "Relu", "GlobalAveragePool"] and not log
