from __future__ import annotations

import pytest

from edgeort.passes import PassContext
from edgeort.passes.functions import NHWC
from edgeort.passes.to_nhwc import CHANNELS_LAST, to_nhwc
from tests.passes.harness import check, counts, model_of, random_weights

SPATIAL = {3: "12", 4: "12,10", 5: "6,8,10"}


def run(operation: str, rank: int, *, opset: int = 17, **shapes: tuple[int, ...]) -> None:
    text = f"g (float[N,8,{SPATIAL[rank]}] x) => (float[{','.join('ABCDE'[:rank])}] y) {{ y = {operation} }}"
    model, ctx = check(model_of(text, opset=opset, weights=random_weights(**shapes)), (to_nhwc,))
    name = operation.split()[0]
    call = next(node for node in model.graph if node.op_type == name)
    assert call.domain == NHWC
    assert len(call.inputs) == CHANNELS_LAST[name]
    assert counts(model) == {name: 1, "Transpose": 2}
    assert not ctx.log


@pytest.mark.parametrize("rank", [3, 4, 5])
@pytest.mark.parametrize("opset", [13, 17, 21])
def test_convolutions_and_pools_of_every_rank(rank: int, opset: int) -> None:
    kernel = (3,) * (rank - 2)
    run("Conv (x, w)", rank, opset=opset, w=(6, 8, *kernel))
    run("Conv <group = 8> (x, w, b)", rank, opset=opset, w=(8, 1, *kernel), b=(8,))
    run("ConvTranspose <group = 2> (x, w)", rank, opset=opset, w=(8, 3, *kernel))
    for name in ("MaxPool", "AveragePool", "LpPool"):
        run(f"{name} <kernel_shape = {list(kernel)}> (x)", rank, opset=opset)
    for name in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        run(f"{name} (x)", rank, opset=opset)
    run("InstanceNormalization (x, s, b)", rank, opset=opset, s=(8,), b=(8,))


def test_attributes_reach_the_operator() -> None:
    run(
        "Conv <strides = [2, 1], dilations = [1, 2], pads = [1, 2, 3, 0], kernel_shape = [3, 2]> (x, w)",
        4,
        w=(4, 8, 3, 2),
    )
    run('MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1, auto_pad = "SAME_LOWER"> (x)', 4)
    run("AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (x)", 4)
    run('DepthToSpace <blocksize = 2, mode = "CRD"> (x)', 4)
    run("SpaceToDepth <blocksize = 2> (x)", 4)
    run("LRN <size = 3, alpha = 0.1> (x)", 4)
    run("GroupNormalization <num_groups = 4> (x, s, b)", 4, opset=21, s=(8,), b=(8,))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "g (float[1,4,6,6] x) => (float[1,4,3,3] y, int64[1,4,3,3] i) { y, i = MaxPool <kernel_shape=[4,4]> (x) }",
            "more than its first",
        ),
        ("g (float[1,3,4,5,6,2] x) => (float[1,3,1,1,1,1] y) { y = GlobalAveragePool (x) }", "rank 6"),
        ("g (float x, int64[K] s) => (float y) { t = Reshape (x, s) y = GlobalAveragePool (t) }", "unknown"),
        ("g (float[1,4,6,6] x, float w) => (float[A,B,C,D] y) { y = Conv (x, w) }", "shape of its weight is unknown"),
    ],
)
def test_refusals_say_why(text: str, sentence: str) -> None:
    model, ctx = model_of(text), PassContext()
    before = counts(model)
    if "float y)" in text:  # a tensor of unknown rank
        for value in (model.graph.outputs[0], *(v for node in model.graph for v in node.outputs)):
            value.shape = None
    if "float w" in text:
        model.graph.inputs[1].shape = None
    assert to_nhwc(model, ctx) == 0
    assert counts(model) == before
    assert sentence in str(ctx.log[0])
