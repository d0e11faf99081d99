"""Every micro-operation, and the kernels that reduce, against the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgeort.lowering import layout
from tests.contract.engines import check, graph, nchw, values
from tests.reference import Array, library, quantised

F = np.float32
Formula = Callable[..., Array]


def select(condition: Any, a: Any, b: Any) -> Array:
    return np.where(condition, a, b).astype(F)


def clip(x: Array, lo: float, hi: float) -> Array:
    y = select(x < F(lo), F(lo), x)
    return select(y > F(hi), F(hi), y)


def unary(name: str) -> Formula:
    return lambda x: library().unary(name, x)


# Micro-operation -> (ONNX operator, attributes, formula). Binary formulas take (x, y).
UNARY: dict[str, tuple[str, dict[str, Any], Formula]] = {
    "Neg": ("Neg", {}, lambda x: -x),
    "Abs": ("Abs", {}, np.abs),
    "Sqrt": ("Sqrt", {}, np.sqrt),
    "Reciprocal": ("Reciprocal", {}, lambda x: F(1) / x),
    "Floor": ("Floor", {}, np.floor),
    "Ceil": ("Ceil", {}, np.ceil),
    "Round": ("Round", {}, np.rint),
    "Sign": ("Sign", {}, lambda x: select(x > 0, 1, select(x < 0, -1, x))),
    "Relu": ("Relu", {}, lambda x: select(x < 0, 0, x)),
    "Clip": ("Clip", {"min": -0.75, "max": 1.5}, lambda x: clip(x, -0.75, 1.5)),
    "LeakyRelu": ("LeakyRelu", {"alpha": 0.1}, lambda x: select(x < 0, x * F(0.1), x)),
    "ThresholdedRelu": ("ThresholdedRelu", {"alpha": 0.5}, lambda x: select(x > F(0.5), x, 0)),
    "Elu": ("Elu", {"alpha": 0.7}, lambda x: select(x < 0, library().unary("expm1", x) * F(0.7), x)),
    "Shrink": (
        "Shrink",
        {"lambd": 0.75, "bias": 0.1},
        lambda x: select(x < F(-0.75), x + F(0.1), select(x > F(0.75), x - F(0.1), 0)),
    ),
    "Softsign": ("Softsign", {}, lambda x: x / (np.abs(x) + F(1))),
    "Erf": ("Erf", {}, unary("erf")),
    "HardSwish": ("HardSwish", {}, unary("hard_swish")),
    "Gelu": ("Gelu", {}, unary("gelu")),
    "GeluTanh": ("Gelu", {"approximate": "tanh"}, unary("gelu_tanh")),
    **{
        name: (name, {}, unary(name.lower()))
        for name in (
            "Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
            "Sigmoid", "Tanh", "Mish", "Softplus",
        )
    },
}  # fmt: skip
BINARY: dict[str, tuple[str, Formula]] = {
    "Add": ("Add", np.add),
    "Sub": ("Sub", np.subtract),
    "Mul": ("Mul", np.multiply),
    "Div": ("Div", np.divide),
    "Min": ("Min", lambda x, y: select(np.isnan(x) | np.isnan(y), np.nan, select(y < x, y, x))),
    "Max": ("Max", lambda x, y: select(np.isnan(x) | np.isnan(y), np.nan, select(x < y, y, x))),
    "Pow": ("Pow", lambda x, y: library().pow(x, y)),
    "PRelu": ("PRelu", lambda x, y: select(x < 0, x * y, x)),
}
# Tested in another way: by fused graphs, by tests/kernels, or as the mirror image of another.
ELSEWHERE = {
    "ReverseSub", "ReverseDiv", "ReversePow", "Selu", "Celu", "HardSigmoid", "Silu", "Swish", "Dequantize", "Quantize",
}  # fmt: skip


def arguments() -> Array:
    """Special values, then all magnitudes."""
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 88.8, -104.0, 1e-40, -1e-40, 3e38]
    rng = np.random.default_rng(3)
    spread = rng.standard_normal(1000) * np.exp2(rng.integers(-20, 12, 1000))
    return np.concatenate([special, spread]).astype(F)


def test_every_micro_operation_is_here() -> None:
    assert set(UNARY) | set(BINARY) | ELSEWHERE == set(layout.UOPS)
    assert not ELSEWHERE & (set(UNARY) | set(BINARY))


@pytest.mark.parametrize("uop", UNARY)
def test_unary(uop: str, tmp_path: Path) -> None:
    operator, attributes, formula = UNARY[uop]
    x = arguments()
    opset = 20
    if operator == "Clip":
        limits = {"lo": np.array(attributes["min"], F), "hi": np.array(attributes["max"], F)}
        model = graph([helper.make_node("Clip", ["x", "lo", "hi"], ["y"])], {"x": ["n"]}, ["y"], limits)
    else:
        model = graph([helper.make_node(operator, ["x"], ["y"], **attributes)], {"x": ["n"]}, ["y"], opset=opset)
    with np.errstate(all="ignore"):
        runs = [([part], formula(part)) for part in (x, x[:1], x[7:24], x[5:38])]
    check(model, tmp_path, *runs)


@pytest.mark.parametrize("uop", BINARY)
def test_binary(uop: str, tmp_path: Path) -> None:
    operator, formula = BINARY[uop]
    x = arguments()
    y = np.concatenate([np.repeat(x[:16], 4), x[::-1]])[: x.size]
    model = graph([helper.make_node(operator, ["x", "y"], ["z"])], {"x": ["n"], "y": ["m"]}, ["z"])
    with np.errstate(all="ignore"):
        runs = [([a, b], formula(a, b)) for a, b in ((x, y), (x[3:20], y[3:20]))]
        runs.append(([x, y[40:41]], formula(x, np.full_like(x, y[40]))))
        if operator != "PRelu":
            runs.append(([x[40:41], y], formula(np.full_like(y, x[40]), y)))
    check(model, tmp_path, *runs)


@pytest.mark.parametrize(("dtype", "bias"), [(np.uint8, 128), (np.int8, 0)])
def test_quantize_and_dequantize(dtype: type, bias: int, tmp_path: Path) -> None:
    """Through memory, where integers are bytes; a NaN is the least of them."""
    scale, zero, x = F(0.037), -3, arguments()
    constants = {"scale": np.array(scale), "zero": np.array(zero + bias, dtype)}
    quantize = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"])
    model = graph([quantize], {"x": ["n"]}, ["q"], constants)
    model.graph.output[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    parts = (x, x[:1], x[7:24], x[5:38])
    with np.errstate(all="ignore"):
        integers = [quantised.quantize(part, scale, zero) for part in parts]
    stored = [(q.astype(np.int16) + bias).astype(dtype) for q in integers]
    check(model, tmp_path, *(([p], q) for p, q in zip(parts, stored, strict=True)))
    restore = helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"])
    model = graph([quantize, restore], {"x": ["n"]}, ["y"], constants)
    check(model, tmp_path, *(([p], quantised.dequantize(q, scale, zero)) for p, q in zip(parts, integers, strict=True)))


# What kernels quantise without a pass of its own: nodes that make `m` of x and y, and their formula.
QUANTISED: dict[str, tuple[list[tuple[str, list[str], str]], Formula]] = {
    "Add": ([("Add", ["x", "y"], "m")], np.add),
    "Mul": ([("Mul", ["x", "y"], "m")], np.multiply),
    "HardSwish": ([("HardSwish", ["x"], "m")], lambda x, y: library().unary("hard_swish", x)),
    "Silu": ([("Sigmoid", ["x"], "s"), ("Mul", ["x", "s"], "m")], lambda x, y: library().unary("silu", x)),
    "Gelu": ([("Gelu", ["x"], "m")], lambda x, y: library().unary("gelu", x)),
}


@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_functions(name: str, tmp_path: Path) -> None:
    """The same integers as in two passes."""
    operators, formula = QUANTISED[name]
    scale, zero, x = F(0.037), -3, arguments()
    y = np.concatenate([np.repeat(x[:16], 4), x[::-1]])[: x.size]
    constants = {"scale": np.array(scale), "zero": np.array(zero, np.int8)}
    nodes = [helper.make_node(op, read, [made]) for op, read, made in operators]
    nodes.append(helper.make_node("QuantizeLinear", ["m", "scale", "zero"], ["q"]))
    inputs = {"x": ["n"]} | ({"y": ["n"]} if "y" in operators[0][1] else {})
    model = graph(nodes, inputs, ["q"], constants, opset=20)
    model.graph.output[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(np.int8))
    runs = []
    with np.errstate(all="ignore"):
        for part in (slice(None), slice(1), slice(7, 24), slice(5, 38), slice(0, 64), slice(100, 229)):
            a, b = x[part], y[part]
            runs.append(([a, b][: len(inputs)], quantised.quantize(formula(a, b), scale, zero)))
    check(model, tmp_path, *runs)


REDUCTIONS = {
    "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceProd": "prod",
    "ReduceL1": "l1", "ReduceL2": "l2", "ReduceSumSquare": "sum_square",
    "ReduceLogSum": "log_sum", "ReduceLogSumExp": "log_sum_exp",
}  # fmt: skip


@pytest.mark.parametrize("operator", REDUCTIONS)
@pytest.mark.parametrize("axes", [[-1], [0], [1], [0, 2], [1, 2], [0, 1, 2]], ids=str)
def test_reductions(operator: str, axes: list[int], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    node = helper.make_node(operator, ["x", "axes"], ["y"], keepdims=0)
    model = graph([node], {"x": ["a", "b", "c"]}, ["y"], {"axes": np.array(axes, np.int64)})
    runs = []
    for shape in ((1, 1, 1), (3, 5, 7), (2, 33, 17), (4, 18, 70), (40, 3, 16)):
        x = values(rng, *shape)
        if operator == "ReduceLogSum":
            x = np.abs(x) + F(0.1)
        if operator == "ReduceProd":
            x = F(1) + x / F(64)
        runs.append(([x], library().reduce(REDUCTIONS[operator], x, axes)))
    check(model, tmp_path, *runs)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax(operator: str, axis: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    model = graph([helper.make_node(operator, ["x"], ["y"], axis=axis)], {"x": ["a", "b", "c"]}, ["y"])
    runs = []
    for shape in ((1, 1, 1), (3, 5, 7), (2, 33, 17), (3, 4, 130)):
        x = values(rng, *shape)
        runs.append(([x], library().softmax(x, axis, log=operator == "LogSoftmax")))
    check(model, tmp_path, *runs)


@pytest.mark.parametrize("n", [1, 16, 17, 48, 129])
def test_layer_norm(n: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(n)
    scale, bias = values(rng, n), values(rng, n)
    node = helper.make_node("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1, epsilon=1e-5)
    model = graph([node], {"x": ["a", n]}, ["y"], {"s": scale, "b": bias})
    runs = [([x], library().layer_norm(x, scale, bias, 1e-5)) for x in (values(rng, 1, n), values(rng, 13, n))]
    check(model, tmp_path, *runs)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 3), (32, 4), (19, 19), (40, 40)])
def test_group_and_instance_norm(channels: int, groups: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(channels)
    scale, bias = values(rng, channels), values(rng, channels)
    if channels == groups:
        node = helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"], epsilon=1e-3)
    else:
        node = helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], epsilon=1e-3, num_groups=groups)
    model = graph([node], {"x": ["n", channels, "h", "w"]}, ["y"], {"s": scale, "b": bias}, opset=21)
    runs = []
    for size in ((1, 1, 3), (2, 5, 7)):
        x = values(rng, *size, channels)
        runs.append(([nchw(x)], nchw(library().group_norm(x, scale, bias, groups, 1e-3))))
    check(model, tmp_path, *runs)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("maximum", [False, True], ids=["average", "maximum"])
def test_pools(seed: int, maximum: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    channels = int(rng.choice([1, 7, 16, 35]))
    kernel = tuple(int(v) for v in rng.integers(1, 5, 2))
    strides = tuple(int(v) for v in rng.integers(1, 4, 2))
    pads = tuple(int(rng.integers(0, kernel[i % 2])) for i in range(4))
    ceil_mode, count_pad = bool(seed % 2), bool(seed // 2 % 2) and not maximum
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": pads, "ceil_mode": int(ceil_mode)}
    if not maximum:
        attributes["count_include_pad"] = int(count_pad)
    node = helper.make_node("MaxPool" if maximum else "AveragePool", ["x"], ["y"], **attributes)
    model = graph([node], {"x": ["n", channels, "h", "w"]}, ["y"])
    runs = []
    for size in ((1, 5, 6), (2, 13, 9)):
        x = values(rng, *size, channels)
        want = library().pool2d(
            x,
            kernel,
            maximum=maximum,
            strides=strides,
            pads=pads,
            count_pad=count_pad,
            ceil_mode=ceil_mode,  # type: ignore[arg-type]
        )
        runs.append(([nchw(x)], nchw(want)))
    check(model, tmp_path, *runs)


@pytest.mark.parametrize(("operator", "name"), [("GlobalAveragePool", "mean"), ("GlobalMaxPool", "max")])
def test_global_pools(operator: str, name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    model = graph([helper.make_node(operator, ["x"], ["y"])], {"x": ["n", 21, "h", "w"]}, ["y"])
    runs = []
    for size in ((1, 1, 1), (2, 7, 9)):
        x = values(rng, *size, 21)
        runs.append(([nchw(x)], library().reduce(name, x, [1, 2]).reshape(size[0], 21, 1, 1)))
    check(model, tmp_path, *runs)
