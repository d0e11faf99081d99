"""16-bit weights become two products of int8 where the device has the speed; near misses stay."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort import device_profiles
from edgeort.passes import PassContext, run_passes
from edgeort.passes.split_wide_weights import split_wide_weights
from tests.passes.harness import counts, model_of, run_ort

RNG = np.random.default_rng(3)
FAST, SLOW = "raspberrypi5", "raspberrypi4"  # with a dot product, and without
NODES = {
    "Conv": "Conv (x, w, b)",
    "MatMul": "MatMul (x, w)",
    "Gemm": "Gemm <transB = 1> (x, w, b)",
    "depthwise": "Conv <group = 8> (x, w, b)",
}
SHAPES = {"Conv": (4, 8, 1, 1), "MatMul": (8, 4), "Gemm": (4, 8), "depthwise": (8, 1, 1, 1)}


def graph(kind: str, most: int = 32639, x: str = "uint8") -> ir.Model:
    """DequantizeLinear of an input by that node of NODES, with int16 weights of up to `most`."""
    shape = SHAPES[kind]
    axis = 1 if kind == "MatMul" else 0
    out = "A,B" if len(shape) == 2 else "A,B,C,D"
    given = "3,8" if len(shape) == 2 else "1,8,3,2"
    integers = RNG.integers(-most, most + 1, shape, dtype=np.int16)
    integers.flat[:2] = most, -most
    return model_of(
        f"""g ({x}[{given}] q) => (float[{out}] y) {{
          x = DequantizeLinear (q, xs, xz) w = DequantizeLinear <axis = {axis}> (w16, ws) y = {NODES[kind]} }}""",
        opset=21,
        weights={
            "w16": integers.reshape(shape),
            "ws": RNG.uniform(1e-5, 1e-4, shape[axis]).astype(np.float32),
            "xs": np.float32(0.02),
            "xz": np.array(7, x),
            **({} if kind == "MatMul" else {"b": RNG.standard_normal(shape[axis]).astype(np.float32)}),
        },
    )


def split(model: ir.Model, device: str | None) -> PassContext:
    ctx = PassContext(profile=None if device is None else device_profiles.load(device), check=True)
    run_passes(model, ctx, (split_wide_weights,))
    return ctx


@pytest.mark.parametrize("kind", ["Conv", "MatMul", "Gemm"])
def test_the_numbers_stay(kind: str) -> None:
    model = graph(kind)
    feeds = {"q": RNG.integers(0, 256, (3, 8) if kind != "Conv" else (1, 8, 3, 2), dtype=np.uint8)}
    (want,) = run_ort(model, feeds)
    assert split(model, FAST).counts["split_wide_weights"] == 1
    assert counts(model) == {"DequantizeLinear": 3, kind: 2, "Add": 1}
    bytes_ = [v.const_value.numpy() for v in model.graph.initializers.values() if v.dtype == ir.DataType.INT8]  # type: ignore[union-attr]
    assert len(bytes_) == 2 and any(part.max() == 127 for part in bytes_)
    (got,) = run_ort(model, feeds)
    assert np.abs(got - want).max() <= 2e-6 * np.abs(want).max()


@pytest.mark.parametrize(
    ("model", "device", "reason"),
    [
        (graph("Conv"), SLOW, "two products of int8 pay where"),
        (graph("Conv"), None, "no device"),
        (graph("depthwise"), FAST, "it is depthwise"),
        (graph("Conv", 32767), FAST, "more than 256 times"),
    ],
)
def test_near_misses(model: ir.Model, device: str | None, reason: str) -> None:
    ctx = split(model, device)
    assert ctx.counts["split_wide_weights"] == 0 and [reason in str(refusal) for refusal in ctx.log] == [True]


def test_what_is_none_is_no_refusal() -> None:
    for model in (graph("Conv", 127), graph("Conv", x="int16")):
        ctx = split(model, FAST)
        assert ctx.counts["split_wide_weights"] == 0 and not ctx.log
