"""Convolutions equal ONNX Runtime's for every padding, stride, dilation and grouping, and fuse what LiteRT can fuse."""

from __future__ import annotations

import pytest

from tests.converters.tflite.support import check, normal, reasons


def conv(attributes: str, x: str = "1,4,9,8", *, tail: str = "", op: str = "Conv", out: str = "o,c,h,w") -> str:
    end = f"t = {op}<{attributes}>(x, w, b) {tail}" if tail else f"y = {op}<{attributes}>(x, w, b)"
    return f"g (float[{x}] x) => (float[{out}] y) {{ {end} }}"


@pytest.mark.parametrize(
    ("attributes", "weight", "operators"),
    [
        ("strides=[1,1]", (6, 4, 1, 1), ["CONV_2D"]),
        ("pads=[1,1,1,1]", (6, 4, 3, 3), ["CONV_2D"]),  # SAME
        ("pads=[1,1,1,1], strides=[2,2]", (6, 4, 3, 3), ["PAD", "CONV_2D"]),  # SAME pads the even axis at its end only
        ("pads=[1,0,1,1], strides=[2,2]", (6, 4, 3, 3), ["CONV_2D"]),
        ("pads=[0,1,2,0]", (6, 4, 3, 2), ["PAD", "CONV_2D"]),
        ("strides=[2,3]", (6, 4, 3, 3), ["CONV_2D"]),  # the last elements are read by no window
        ("pads=[1,0,0,2], strides=[3,2]", (6, 4, 2, 5), ["PAD", "CONV_2D"]),
        ("dilations=[2,2], pads=[2,2,2,2]", (6, 4, 3, 3), ["CONV_2D"]),
        ("dilations=[2,1], pads=[1,1,0,1]", (6, 4, 3, 3), ["PAD", "CONV_2D"]),
        ("auto_pad=\"SAME_UPPER\", strides=[2,2]", (6, 4, 3, 3), ["CONV_2D"]),
        ("auto_pad=\"SAME_LOWER\", strides=[2,2]", (6, 4, 3, 3), ["PAD", "CONV_2D"]),
        ("auto_pad=\"VALID\"", (6, 4, 3, 3), ["CONV_2D"]),
        ("group=2, pads=[1,1,1,1]", (6, 2, 3, 3), ["CONV_2D"]),
        ("group=4, pads=[1,1,1,1]", (4, 1, 3, 3), ["DEPTHWISE_CONV_2D"]),
        ("group=4, pads=[2,1,2,1], strides=[2,1], dilations=[2,1]", (8, 1, 3, 3), ["DEPTHWISE_CONV_2D"]),
    ],
)  # fmt: skip
def test_paddings_strides_dilations_groups(attributes: str, weight: tuple[int, ...], operators: list[str]):
    weights = normal(w=weight, b=(weight[0],))
    found = check(conv(attributes), weights=weights)
    assert found == ["TRANSPOSE", *operators, "TRANSPOSE"]


@pytest.mark.parametrize(
    ("tail", "operators"),
    [
        ("y = Relu(t)", ["CONV_2D"]),
        ("lo = Constant<value_float = 0.0>() hi = Constant<value_float = 6.0>() y = Clip(t, lo, hi)", ["CONV_2D"]),
        ("lo = Constant<value_float = -1.0>() hi = Constant<value_float = 1.0>() y = Clip(t, lo, hi)", ["CONV_2D"]),
        (
            "lo = Constant<value_float = -0.5>() hi = Constant<value_float = 2.0>() y = Clip(t, lo, hi)",
            ["CONV_2D", "MINIMUM", "MAXIMUM"],
        ),
        ("lo = Constant<value_float = 0.25>() y = Clip(t, lo)", ["CONV_2D", "MAXIMUM"]),
        ("u = Relu(t) y = Add(t, u)", ["CONV_2D", "RELU", "ADD"]),  # another reader of the sums
    ],
)
def test_activations(tail: str, operators: list[str]):
    found = check(conv("pads=[1,1,1,1]", tail=tail), weights=normal(w=(6, 4, 3, 3), b=(6,)))
    assert [name for name in found if name != "TRANSPOSE"] == operators


def test_without_bias_and_batch_norm_behind():
    text = """g (float[1,3,7,5] x) => (float[o,c,h,w] y) {
        t = Conv<pads=[1,1,1,1]>(x, w) y = BatchNormalization(t, s, b, m, v) }"""
    weights = normal(w=(5, 3, 3, 3), s=(5,), b=(5,), m=(5,), v=(5,))
    weights["v"] = weights["v"] ** 2 + 0.5
    assert check(text, weights=weights) == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]


def test_batch_norm_alone_is_a_factor_and_a_summand():
    weights = normal(s=(4,), b=(4,), m=(4,), v=(4,))
    weights["v"] = weights["v"] ** 2 + 0.5
    text = "g (float[2,4,3,5] x) => (float[n,c,h,w] y) { y = BatchNormalization(x, s, b, m, v) }"
    assert {"MUL", "ADD"} <= set(check(text, weights=weights))


@pytest.mark.parametrize(("attributes", "weight"), [("pads=[2,2]", (6, 4, 5)), ("strides=[2], pads=[0,1]", (6, 4, 3)),
                                                    ("group=4, dilations=[3]", (4, 1, 3))])  # fmt: skip
def test_one_spatial_axis(attributes: str, weight: tuple[int, ...]):
    check(conv(attributes, "2,4,11", out="n,c,l"), weights=normal(w=weight, b=(weight[0],)))


def test_a_pad_before_goes_into_the_convolution():
    text = """g (float[1,4,9,8] x) => (float[o,c,h,w] y) {
        p = Constant<value_ints = [0,0,1,1,0,0,1,1]>() t = Pad(x, p) y = Conv(t, w) }"""
    assert check(text, weights=normal(w=(6, 4, 3, 3))) == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]


@pytest.mark.parametrize(
    ("attributes", "weight", "operators"),
    [
        ("strides=[2,2]", (4, 5, 2, 2), ["TRANSPOSE_CONV"]),
        ("strides=[2,2], pads=[1,1,1,1]", (4, 5, 4, 4), ["TRANSPOSE_CONV"]),  # SAME
        ("strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]", (4, 5, 3, 3), ["TRANSPOSE_CONV", "SLICE"]),
        ("strides=[2,1], pads=[0,1,1,0]", (4, 5, 3, 3), ["TRANSPOSE_CONV", "SLICE"]),
        ("strides=[3,2], output_padding=[2,1]", (4, 5, 3, 2), ["TRANSPOSE_CONV"]),
        ("dilations=[2,2]", (4, 5, 3, 3), ["TRANSPOSE_CONV"]),
        ("group=2, strides=[2,2]", (4, 3, 2, 2), ["TRANSPOSE_CONV"]),
        ("auto_pad=\"SAME_UPPER\", strides=[2,2]", (4, 5, 3, 3), ["TRANSPOSE_CONV"]),
    ],
)  # fmt: skip
def test_transposed(attributes: str, weight: tuple[int, ...], operators: list[str]):
    outputs = weight[1] * (2 if "group" in attributes else 1)
    text = conv(attributes, "1,4,5,6", op="ConvTranspose")
    found = check(text, weights=normal(w=weight, b=(outputs,)))
    assert [name for name in found if name != "TRANSPOSE"] == operators


def test_transposed_of_one_axis_with_relu():
    text = conv("strides=[2]", "1,4,7", op="ConvTranspose", out="n,c,l", tail="y = Relu(t)")
    assert "RELU" in check(text, weights=normal(w=(4, 3, 4), b=(3,)))


def test_refused():
    text = "g (float[1,2,5,5,5] x) => (float[n,c,d,h,w] y) { y = Conv(x, w) }"
    assert reasons(text, weights=normal(w=(3, 2, 3, 3, 3))) == [
        ("Conv", "it has 3 spatial axes, and only one or two are written")
    ]
    text = "g (float[1,2,5,5] x, float[3,2,3,3] w) => (float[n,c,h,v] y) { y = Conv(x, w) }"
    assert reasons(text) == [("Conv", "w is computed as the model runs, and must be constant")]
