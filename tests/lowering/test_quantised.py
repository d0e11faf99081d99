"""Products of quantised values: what a plan holds, computed by the NumPy reference, is what ONNX Runtime computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort.lowering import steps
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from tests.kernels.support import plan_of, reference
from tests.reference import quantised

RNG = np.random.default_rng(11)
X_SCALE, Y_SCALE = np.float32(0.02), np.float32(0.11)
BIAS = {np.uint8: 128, np.int8: 0}
Array = np.ndarray


def product(
    node: onnx.NodeProto,
    x: Sequence[int],
    weight: Array,
    *,
    axis: int | None = 0,
    bias: Array | None = None,
    dtype: type = np.uint8,
    after: Sequence[onnx.NodeProto] = (),
    weight_zero: Array | None = None,
    scales: Array | None = None,
    **constants: Array,
) -> onnx.ModelProto:
    """x -> Q -> DQ -> node(., DQ(weight), DQ(bias)) -> after -> Q; weights have a scale for each slice of `axis`."""
    channels = weight.shape[axis] if axis is not None else 1
    w_scale = RNG.uniform(0.001, 0.02, channels).astype(np.float32) if scales is None else scales
    arrays: dict[str, Array] = {
        "sx": np.array(X_SCALE), "zx": np.array(117, dtype), "sy": np.array(Y_SCALE), "zy": np.array(101, dtype),
        "w": weight, "sw": w_scale if axis is not None else w_scale.reshape(()), **constants,
    }  # fmt: skip
    zero = ["zw"] if weight_zero is not None else []
    if weight_zero is not None:
        arrays["zw"] = weight_zero
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "sw", *zero], ["wd"], axis=axis or 0),
    ]
    if bias is not None:
        arrays |= {"b": bias, "sb": w_scale * X_SCALE}
        nodes.append(helper.make_node("DequantizeLinear", ["b", "sb"], ["bd"], axis=0))
    last = after[-1].output[0] if after else node.output[0]
    nodes += [node, *after, helper.make_node("QuantizeLinear", [last, "sy", "zy"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def interpreted(plan: PlanBuilder, x: Array) -> Array:
    """The canonical result of the plan's only product, which has no program, on canonical integers (channels last)."""
    (node,) = (n for n in plan.nodes if n.op in ("QConv", "QStemConv", "QDepthwiseConv", "QGemm"))
    weights, bias, sums, scale = (plan.tensors[index].data for index in node.inputs[1:5])
    assert weights is not None and bias is not None and sums is not None and scale is not None
    kind = PARAMS["QGemmParams" if node.op == "QGemm" else "QConvParams"]
    params: Any = kind.unpack(node.params[: kind.size])
    quantisation: Any = PARAMS["Quantisation"].unpack(params["quantisation"][0])
    (zero,), (y_zero,), (lo,), (hi,) = (quantisation[name] for name in ("x_zero_point", "zero_point", "lo", "hi"))
    assert quantisation["quantised"] == (1,)
    assert quantisation["wide"] == (int(weights.min() == -128),)
    if node.op == "QGemm":
        (k,), (n,) = params["k"], params["n"]
        taps = quantised.unpack_panels(weights, 1, k, n)
        acc = quantised.qgemm(x, taps[0], bias[:n], zero)
    else:
        acc, taps, n = _convolution(node.op, params, x, weights, bias, zero)
    _check_steps(plan, node.op, taps, weights, node.inputs[5:])
    np.testing.assert_array_equal(taps.sum(axis=(0, 1), dtype=np.int32), _columns(sums, n, taps.shape[2]))
    columns = [_columns(vector, n, taps.shape[2]) for vector in (bias, scale)]
    assert quantisation["small"] == (int(quantised.is_small(taps, *columns, zero)),)
    return quantised.requantise(acc, _columns(scale, n, taps.shape[2]), y_zero, lo, hi)


def _check_steps(plan: PlanBuilder, op: str, taps: Array, weights: Array, inputs: list[int]) -> None:
    """Sums of one tap and whole quads have them, but for the weight -128; those of a stem are one tap."""
    count, channels = (1, -(-taps.shape[0] * taps.shape[1] // 4) * 4) if op == "QStemConv" else taps.shape[:2]
    stepped = op != "QDepthwiseConv" and count == 1 and channels % 4 == 0 and weights.min() > -128
    assert len(inputs) == stepped
    for index in inputs:
        np.testing.assert_array_equal(plan.tensors[index].data, steps.steps(weights, channels // 4))


def _convolution(op: str, params: Any, x: Array, weights: Array, bias: Array, zero: int) -> tuple[Array, Array, int]:
    conv: Any = PARAMS["ConvParams"].unpack(params["conv"][0])
    (groups,), kernel, (c_in,), (c_out,) = conv["group"], conv["kernel"][1:], conv["channels_in"], conv["channels_out"]
    count, n = kernel[0] * kernel[1], c_out // groups
    if op == "QDepthwiseConv":
        taps = quantised.unpack_depthwise(weights, count, c_out)[:, None]
        n = c_out
    elif op == "QStemConv":
        taps = quantised.unpack_panels(weights, 1, count * c_in, n).reshape(count, c_in, n)
    else:
        parts = np.split(weights, groups)
        taps = np.concatenate([quantised.unpack_panels(part, count, c_in // groups, n) for part in parts], axis=2)
    window = {"strides": conv["stride"][1:], "dilations": conv["dilation"][1:]}
    pads = (*conv["pad_begin"][1:], *conv["pad_end"][1:])
    weight = taps.transpose(2, 1, 0).reshape(c_out, -1, *kernel)
    columns = _columns(bias, n, c_out)
    return quantised.qconv(x, weight, columns, zero, pads=pads, groups=groups, **window), taps, n


def _columns(values: Array, n: int, total: int) -> Array:
    """One number a column, without what fills the panels of each group of n."""
    return np.concatenate([group[:n] for group in np.split(values, total // n)])


def check(model: onnx.ModelProto, *, channels_last: bool = True) -> None:
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(model.graph.output[0].type.tensor_type.elem_type)).type
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = RNG.normal(size=shape).astype(np.float32) * 2
    (want,) = reference(model, [x])
    canonical = quantised.quantize(x, float(X_SCALE), 117 - BIAS[dtype])
    move = channels_last and x.ndim == 4
    got = interpreted(plan_of(model), np.moveaxis(canonical, 1, -1) if move else canonical)
    got = np.moveaxis(got, -1, 1) if move else got
    difference = np.abs(got.astype(int) - (want.astype(int) - BIAS[dtype]))
    assert difference.max() <= 1 and difference.mean() < 0.01  # the last bit of a product may decide a tie


def int8(*shape: int, low: int = -127) -> Array:
    return RNG.integers(low, 128, shape).astype(np.int8)


@pytest.mark.parametrize("dtype", (np.uint8, np.int8))
@pytest.mark.parametrize(
    ("channels", "out", "groups", "attributes"),
    [
        (3, 21, 1, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        (8, 34, 2, {"pads": [1, 0, 2, 1], "dilations": [2, 1]}),
        (19, 19, 19, {"pads": [1, 1, 1, 1]}),
        (5, 10, 5, {}),
    ],
)
def test_convolutions(channels: int, out: int, groups: int, attributes: dict[str, Any], dtype: type) -> None:
    node = helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], group=groups, **attributes)
    weight, bias = int8(out, channels // groups, 3, 3), RNG.integers(-3000, 3000, out).astype(np.int32)
    check(product(node, [2, channels, 9, 8], weight, bias=bias, dtype=dtype))


@pytest.mark.parametrize("transposed", (0, 1))
def test_gemm(transposed: int) -> None:
    weight = int8(33, 20) if transposed else int8(20, 33)
    bias = RNG.integers(-3000, 3000, 33).astype(np.int32)
    node = helper.make_node("Gemm", ["xd", "wd", "bd"], ["c"], transB=transposed)
    check(product(node, [5, 20], weight, axis=1 - transposed, bias=bias))


def test_what_is_added_to_a_matmul_is_its_bias_and_clamps_are_integers() -> None:
    nodes = [helper.make_node("Add", ["b", "c"], ["a"]), helper.make_node("Relu", ["a"], ["r"])]
    node = helper.make_node("MatMul", ["xd", "wd"], ["c"])
    model = product(node, [2, 5, 20], int8(20, 33), axis=1, after=nodes, b=RNG.normal(size=33).astype(np.float32))
    assert [n.op for n in plan_of(model).nodes if n.op != "QuantisedBytes"] == ["Elementwise", "QGemm"]
    check(model, channels_last=False)


def clamped_and_scaled(clip: Sequence[float], factors: Array) -> onnx.ModelProto:
    """A convolution of 21 columns whose result is clamped, and then multiplied by one number a column."""
    node = helper.make_node("Conv", ["xd", "wd"], ["c"])
    after = [helper.make_node("Clip", ["c", "low", "high"], ["r"]), helper.make_node("Mul", ["f", "r"], ["m"])]
    bounds = dict(zip(("low", "high"), np.array(clip, np.float32), strict=True))
    return product(node, [1, 4, 6, 6], int8(21, 4, 3, 3), after=after, f=factors.reshape(-1, 1, 1), **bounds)


def test_factors_of_columns_are_in_the_scales() -> None:
    check(clamped_and_scaled((0, 6), np.linspace(3, 20, 21, dtype=np.float32)))  # 6 is beyond the last integer in all


@pytest.mark.parametrize("least", (1, -20))
def test_factors_that_part_the_bounds_or_turn_them_stay_a_program(least: float) -> None:
    plan = plan_of(clamped_and_scaled((0, 6), np.linspace(least, 20, 21, dtype=np.float32)))
    (node,) = (n for n in plan.nodes if n.op == "QStemConv")
    factors_and_steps = node.inputs[5:]
    assert len(factors_and_steps) == 2 and {"Clip", "Mul", "Quantize"} <= plan.uops


@pytest.mark.parametrize("axis", (None, 0))
def test_weights_of_uint8_and_of_minus_128(axis: int | None) -> None:
    node = helper.make_node("Conv", ["xd", "wd"], ["c"])
    zero = np.full((17,) if axis == 0 else (), 128, np.uint8)
    check(
        product(node, [1, 4, 6, 6], RNG.integers(0, 256, (17, 4, 3, 3)).astype(np.uint8), axis=axis, weight_zero=zero)
    )
    weight = int8(17, 4, 3, 3)
    weight[3, 2, 1, 1] = -128
    check(product(node, [1, 4, 6, 6], weight, axis=axis))


def test_a_bias_far_beyond_its_weights_fits() -> None:
    node = helper.make_node("Conv", ["xd", "wd", "floats"], ["c"])
    scales = np.full(17, 0.01, np.float32)
    scales[5] = 1e-12
    check(
        product(node, [1, 4, 6, 6], int8(17, 4, 1, 1), scales=scales, floats=np.linspace(-3, 3, 17, dtype=np.float32))
    )


@pytest.mark.parametrize(
    ("node", "weight", "axis"),
    [
        (helper.make_node("Conv", ["x", "wd"], ["c"]), int8(6, 4, 3, 3), 0),
        (helper.make_node("Conv", ["xd", "wd"], ["c"]), int8(6, 4, 3, 3), 1),
        (helper.make_node("ConvTranspose", ["xd", "wd"], ["c"]), int8(4, 6, 3, 3), 1),
        (helper.make_node("Gemm", ["xd", "wd"], ["c"], transA=1), int8(5, 6), 1),
    ],
)
def test_what_has_no_kernel_runs_in_float32(node: onnx.NodeProto, weight: Array, axis: int) -> None:
    model = product(node, [5, 4] if node.op_type == "Gemm" else [1, 4, 6, 6], weight, axis=axis)
    ops = [n.op.removeprefix("Compressed") for n in plan_of(model).nodes]
    assert node.op_type in ops and not any(op in ops for op in ("QConv", "QStemConv", "QGemm"))
