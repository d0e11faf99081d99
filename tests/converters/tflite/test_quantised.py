"""QuantizeLinear/DequantizeLinear models become operators on int8, whose integers are ONNX Runtime's within one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort import model as models
from edgeort.converters import tflite
from tests.converters.tflite.support import check, normal, operators, run
from tests.passes.harness import model_of, run_ort

SCALES = {"sx": np.float32(0.031), "sz": np.float32(0.027), "sy": np.float32(0.043)}


def points(kind: type) -> dict[str, np.ndarray]:
    """Zero points of both signs, as that type has them."""
    low = 128 if kind is np.uint8 else 0
    return {"zx": kind(low - 11), "zz": kind(low + 7), "zy": kind(low - 20)}


def given(value: str, suffix: str = "") -> str:
    """Nodes that quantise and dequantise a value by the scale of its letter."""
    by = f"s{suffix or value}, z{suffix or value}"
    return f"{value}q = QuantizeLinear({value}, {by}) {value}d = DequantizeLinear({value}q, {by})"


def weights_of(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """int8 weights NAME with scales sNAME along the first axis."""
    rng = np.random.default_rng(5)
    found: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        found[name] = rng.integers(-127, 128, shape).astype(np.int8)
        found[f"s{name}"] = (rng.random(shape[0]) * 0.01 + 0.002).astype(np.float32)
    return found


def steps(text: str, weights: dict[str, np.ndarray], *, share: float = 0.1) -> list[str]:
    """The operators; asserts that no output is off by more than a step of its scale, and a `share` of them at all."""
    made, scale = model_of(text, weights=weights), float(weights["sy"])
    feeds = {str(v.name): 2 * normal(seed=7, v=[int(d) for d in v.shape])["v"] for v in made.graph.inputs}
    lowered = tflite.lower(models.clean(made), tflite.DEFAULT)
    assert not lowered.refusals
    found = run(tflite.to_bytes(lowered), feeds)
    for value, want in zip(made.graph.outputs, run_ort(made, feeds), strict=True):
        got = found[str(value.name)]
        assert got.shape == want.shape and got.dtype == want.dtype
        off = np.abs(got - want) / scale
        assert off.max() <= 1.001
        assert (off > 0.5).mean() <= share
    return operators(lowered)


def used(text: str, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: array for name, array in weights.items() if f"{name}," in text or f"{name})" in text or f" {name}" in text
    }


def model(
    body: str, weights: dict[str, np.ndarray], kind: type, inputs: str, out: str
) -> tuple[str, dict[str, np.ndarray]]:
    text = (
        f"g ({inputs}) => (float[{out}] y) {{ {body} yq = QuantizeLinear(t, sy, zy) y = DequantizeLinear(yq, sy, zy) }}"
    )
    return text, used(text, {**SCALES, **points(kind), **weights})


TWICE = 0.2  # of what LiteRT rounds twice: to the integers of an operator's own scale, or of its input, then to others
MOVES = ("MaxPool", "Transpose", "Flatten", "Pad", 'Resize<mode="nearest"')

KINDS = pytest.mark.parametrize("kind", [np.uint8, np.int8])


@KINDS
@pytest.mark.parametrize(
    ("attributes", "shape", "name"),
    [
        ("pads=[1,1,1,1], strides=[2,2]", (6, 4, 3, 3), "CONV_2D"),
        ("pads=[1,1,1,1]", (6, 4, 3, 3), "CONV_2D"),
        ("group=4, pads=[0,1,2,1]", (8, 1, 3, 3), "DEPTHWISE_CONV_2D"),
        ("group=2", (6, 2, 1, 1), "CONV_2D"),
    ],
)
def test_convolutions_with_a_scale_for_each_channel(kind: type, attributes: str, shape: tuple[int, ...], name: str):
    held = weights_of(w=shape) | {"b": np.random.default_rng(2).integers(-2000, 2000, shape[0]).astype(np.int32)}
    held["sb"] = SCALES["sx"] * held["sw"]
    body = f"""{given("x")} wd = DequantizeLinear<axis=0>(w, sw) bd = DequantizeLinear<axis=0>(b, sb)
        c = Conv<{attributes}>(xd, wd, bd) t = Relu(c)"""
    text, weights = model(body, held, kind, "float[2,4,9,8] x", "a,b,c,d")
    found = steps(text, weights)
    assert name in found and found.count("QUANTIZE") == found.count("DEQUANTIZE") == 1


@KINDS
def test_transposed_convolution(kind: type):
    held = weights_of(w=(4, 5, 4, 4))
    held["sw"] = np.float32(0.004)
    body = f"{given('x')} wd = DequantizeLinear(w, sw) t = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(xd, wd)"
    text, weights = model(body, held, kind, "float[1,4,5,6] x", "a,b,c,d")
    assert "TRANSPOSE_CONV" in steps(text, weights)


@KINDS
@pytest.mark.parametrize("op", ["Gemm<transB=1>(xd, wd, b)", "MatMul(xd, wd)"])
def test_products(kind: type, op: str):
    held = weights_of(w=(6, 10)) | normal(b=(6,))
    axis = 0 if op.startswith("Gemm") else 1
    held["w"] = held["w"] if axis == 0 else held["w"].T.copy()
    body = f"{given('x')} wd = DequantizeLinear<axis={axis}>(w, sw) t = {op}"
    text, weights = model(body, held, kind, "float[3,10] x", "a,b")
    assert steps(text, weights) == ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"]


@KINDS
def test_product_of_inputs(kind: type):
    body = f"{given('x')} {given('z')} t = MatMul(xd, zd)"
    text, weights = model(body, {}, kind, "float[2,3,10] x, float[2,10,4] z", "a,b,c")
    assert "BATCH_MATMUL" in steps(text, weights)


@KINDS
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_arithmetic(kind: type, op: str):
    body = f"{given('x')} {given('z')} t = {op}(xd, zd)"
    text, weights = model(body, {}, kind, "float[2,3,5,7] x, float[2,1,5,7] z", "a,b,c,d")
    assert op.upper() in steps(text, weights)


def test_a_number_and_stored_integers_as_operands():
    held = {"k": np.float32(0.5), "c": np.random.default_rng(1).integers(0, 255, (3, 1, 1)).astype(np.uint8)}
    body = f"{given('x')} cd = DequantizeLinear(c, sz, zz) a = Add(xd, cd) {given('a', 'x')} t = Mul(ad, k)"
    text, weights = model(body, held, np.uint8, "float[1,3,5,7] x", "a,b,c,d")
    assert steps(text, weights) == ["QUANTIZE", "ADD", "MUL", "DEQUANTIZE"]


@KINDS
@pytest.mark.parametrize(
    "call",
    [
        "Relu(xd)", "LeakyRelu<alpha=0.2>(xd)", "Sigmoid(xd)", "Tanh(xd)", "HardSwish(xd)", "Softmax<axis=-1>(xd)",
        "Clip(xd, l, h)",
    ],
)  # fmt: skip
def test_functions(kind: type, call: str):
    body = f"{given('x')} l = Constant<value_float=-0.5>() h = Constant<value_float=0.75>() t = {call}"
    text, weights = model(body, {}, kind, "float[2,3,5,7] x", "a,b,c,d")
    steps(text, weights, share=TWICE)


def test_silu():
    body = f"{given('x')} s = Sigmoid(xd) t = Mul(xd, s)"
    text, weights = model(body, {}, np.uint8, "float[2,3,5,7] x", "a,b,c,d")
    assert steps(text, weights) == ["QUANTIZE", "LOGISTIC", "MUL", "DEQUANTIZE"]


@KINDS
@pytest.mark.parametrize(
    ("call", "out"),
    [
        ("MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(xd)", "a,b,c,d"),
        ("MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[1,0,0,0]>(xd)", "a,b,c,d"),
        ("AveragePool<kernel_shape=[3,3], strides=[2,2]>(xd)", "a,b,c,d"),
        ("AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(xd)", "a,b,c,d"),
        ("AveragePool<kernel_shape=[3,3], pads=[1,0,0,1]>(xd)", "a,b,c,d"),
        ("GlobalAveragePool(xd)", "a,b,c,d"),
        ("ReduceMean<axes=[2,3], keepdims=0>(xd)", "a,b"),
        ("Transpose<perm=[0,2,3,1]>(xd)", "a,b,c,d"),
        ("Flatten(xd)", "a,b"),
        ("Resize<mode=\"nearest\", coordinate_transformation_mode=\"asymmetric\">(xd, , r)", "a,b,c,d"),
        ("Resize<mode=\"linear\">(xd, , r)", "a,b,c,d"),
        ("Pad(xd, p)", "a,b,c,d"),
        ("Pad<mode=\"reflect\">(xd, p)", "a,b,c,d"),
    ],
)  # fmt: skip
def test_pools_and_moves(kind: type, call: str, out: str):
    body = f"""{given("x")} r = Constant<value_floats=[1.0,1.0,2.0,2.0]>()
        p = Constant<value_ints=[0,0,1,2,0,0,0,1]>() t = {call}"""
    text, weights = model(body, {}, kind, "float[2,3,8,9] x", out)
    steps(text, weights, share=TWICE)
    alike = weights | {"sy": weights["sx"], "zy": weights["zx"]}
    steps(text, alike, share=0 if call.startswith(MOVES) else TWICE)


@KINDS
def test_concat_of_two_scales_and_split(kind: type):
    body = (
        f"{given('x')} {given('z')} c = Concat<axis=1>(xd, zd) {given('c', 'x')} a, b = Split<axis=1>(cd) t = Add(a, b)"
    )
    text, weights = model(body, {}, kind, "float[1,3,5,7] x, float[1,5,5,7] z", "a,b,c,d")
    steps(text, weights)


def test_weights_alone_are_stored_as_integers():
    held = weights_of(w=(6, 4, 3, 3))
    text = "g (float[1,4,9,8] x) => (float[a,b,c,d] y) { wd = DequantizeLinear<axis=0>(w, sw) y = Conv(x, wd) }"
    made = model_of(text, weights=held)
    assert "DEQUANTIZE" in check(made)
    stored = {t.dtype for t in tflite.lower(models.clean(made), tflite.DEFAULT).graph.tensors if t.data}
    assert "int8" in stored


def test_a_channel_of_scale_zero_keeps_its_bias():
    held = weights_of(w=(3, 4)) | {"b": np.float32([5, -4, 3])}
    held["sw"][1] = 0
    text, weights = model(f"{given('x')} wd = DequantizeLinear<axis=0>(w, sw) t = Gemm<transB=1>(xd, wd, b)", held,
                          np.uint8, "float[2,4] x", "a,b")  # fmt: skip
    steps(text, weights)


def test_what_is_computed_in_float_between_integers_is_noted():
    body = f"{given('x')} t = Sin(xd)"
    text, weights = model(body, {}, np.uint8, "float[2,3] x", "a,b")
    lowered = tflite.lower(models.clean(model_of(text, weights=weights)), tflite.DEFAULT)
    assert [(node.op_type, note) for node, note in lowered.notes] == [("Sin", "computes in float32 between integers")]


def integers_in_and_out(kind: str) -> tuple[ir.Model, dict[str, np.ndarray]]:
    number = np.uint8 if kind == "uint8" else np.int8
    text = f"""g ({kind}[1,4,6,6] xq) => ({kind}[a,b,c,d] yq) {{ xd = DequantizeLinear(xq, sx, zx)
        wd = DequantizeLinear<axis=0>(w, sw) t = Conv(xd, wd) yq = QuantizeLinear(t, sy, zy) }}"""
    return model_of(text, weights=used(text, {**SCALES, **points(number), **weights_of(w=(5, 4, 3, 3))})), SCALES


@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_inputs_and_outputs_of_integers_keep_their_type(kind: str):
    made, _ = integers_in_and_out(kind)
    limits = np.iinfo(kind)
    feeds = {"xq": np.random.default_rng(3).integers(limits.min, limits.max, (1, 4, 6, 6)).astype(kind)}
    got = run(tflite.write(models.clean(made)), feeds)["yq"]
    (want,) = run_ort(made, feeds)
    assert got.dtype == want.dtype
    assert np.abs(got.astype(int) - want).max() <= 1


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_float_inputs_and_outputs_become_integers_when_asked(layout: str):
    held = weights_of(w=(5, 4, 3, 3))
    body = f"{given('x')} wd = DequantizeLinear<axis=0>(w, sw) t = Conv(xd, wd)"
    text, weights = model(body, held, np.uint8, "float[1,4,6,6] x", "a,b,c,d")
    made = model_of(text, weights=weights)
    options = tflite.Options(io_integers=True, io_layout=layout)  # type: ignore[arg-type]
    lowered = tflite.lower(models.clean(made), options)
    assert set(operators(lowered)) <= {"CONV_2D", "TRANSPOSE"}
    feeds = {"x": normal(x=(1, 4, 6, 6))["x"]}
    (want,) = run_ort(made, feeds)
    turned = {"x": feeds["x"].transpose(0, 2, 3, 1)} if layout == "nhwc" else feeds
    got = run(tflite.to_bytes(lowered), turned)["y"]
    assert got.dtype == np.int8
    got = (got.astype(np.float32) - (int(points(np.uint8)["zy"]) - 128)) * SCALES["sy"]
    got = got.transpose(0, 3, 1, 2) if layout == "nhwc" else got
    assert np.abs(got - want).max() <= SCALES["sy"] * 1.001
