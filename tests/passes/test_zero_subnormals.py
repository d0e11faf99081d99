from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes.edit import constant
from edgeort.passes.zero_subnormals import zero_subnormals
from tests.passes.harness import check, model_of, random_weights

CONV = "g (float[1,4,6,5] x) => (float[1,6,P,Q] y) { y = Conv (x, w) }"
MATMUL = "g (float[2,4] x) => (float[2,6] y) { y = MatMul (x, w) }"
GEMM = "g (float[2,4] x) => (float[2,6] y) { y = Gemm (x, w) }"
LEAST_NORMAL = np.float32(2.0**-126)


@pytest.mark.parametrize(("text", "shape"), [(CONV, (6, 4, 3, 3)), (MATMUL, (4, 6)), (GEMM, (4, 6))])
def test_only_subnormal_weights_become_zero(text: str, shape: tuple[int, ...]) -> None:
    w = random_weights(w=shape)["w"]
    w.flat[:4] = 1e-39, -1e-45, LEAST_NORMAL, -LEAST_NORMAL
    model, ctx = check(model_of(text, weights={"w": w.copy()}), (zero_subnormals,))
    w.flat[:2] = 0
    found = constant(model.graph[0].inputs[1])
    assert found is not None and np.array_equal(found, w)
    assert ctx.counts["zero_subnormals"] == 1


def test_normal_weights_and_other_operators_stay() -> None:
    _, ctx = check(model_of(CONV, weights=random_weights(w=(6, 4, 3, 3))), (zero_subnormals,))
    assert not ctx.counts.get("zero_subnormals")
    add = "g (float[2,4] x) => (float[2,4] y) { y = Add (x, w) }"
    model, _ = check(model_of(add, weights={"w": np.full(4, 1e-39, np.float32)}), (zero_subnormals,))
    found = constant(model.graph[0].inputs[1])
    assert found is not None and found.all()


def test_weights_that_are_all_tiny_stay() -> None:
    w = np.full((4, 6), 1e-39, np.float32)
    w[0, 0] = 2.0**-63
    model, ctx = check(model_of(MATMUL, weights={"w": w}), (zero_subnormals,))
    found = constant(model.graph[0].inputs[1])
    assert found is not None and np.array_equal(found, w)
    assert ["no weight is much larger" in str(refusal) for refusal in ctx.log] == [True]
