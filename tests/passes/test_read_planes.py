from __future__ import annotations

import pytest

from edgeort.passes.cancel_transposes import cancel_transposes
from edgeort.passes.eliminate_dead import eliminate_dead
from edgeort.passes.read_planes import read_planes
from edgeort.passes.to_nhwc import to_nhwc
from tests.passes.harness import check, counts, model_of, random_weights

PASSES = (to_nhwc, cancel_transposes, read_planes, eliminate_dead)


def transposes(operation: str, channels: int = 3, kernel: int = 3) -> int:
    """Transposes left of a convolution and the ReLU behind it."""
    text = f"g (float[N,{channels},9,12] x) => (float[N,K,P,Q] y) {{ c = {operation} y = Relu (c) }}"
    model = model_of(text, weights=random_weights(w=(5, channels, kernel, kernel)))
    return counts(check(model, PASSES, sizes={"N": 2})[0])["Transpose"]


@pytest.mark.parametrize("kernel", [3, 7])
def test_planes_are_read_as_they_come(kernel: int) -> None:
    assert transposes("Conv <strides = [2, 2], pads = [1, 0, 1, 1]> (x, w)", kernel=kernel) == 1  # of the result


@pytest.mark.parametrize(
    ("operation", "channels", "kernel"),
    [
        ("Conv (x, w)", 3, 3),
        ("Conv <strides = [2, 2]> (x, w)", 4, 3),
        ("Conv <strides = [2, 2]> (x, w)", 3, 5),
        ("Conv <strides = [2, 2], dilations = [2, 2]> (x, w)", 3, 3),
    ],
)
def test_others_stay(operation: str, channels: int, kernel: int) -> None:
    assert transposes(operation, channels, kernel) == 2


def test_a_transpose_that_others_read_stays() -> None:
    text = """g (float[N,3,9,12] x) => (float[N,5,4,5] y, float[N,5,9,12] z) {
        y = Conv <strides = [2, 2]> (x, w)  z = Conv (x, v) }"""
    model = model_of(text, weights=random_weights(w=(5, 3, 3, 3), v=(5, 3, 1, 1)))
    model, _ = check(model, PASSES, sizes={"N": 2})
    calls = [node for node in model.graph if node.op_type == "Conv"]
    assert [node.attributes["to_nchw"].as_ints()[1] for node in calls] == [1, 3]
