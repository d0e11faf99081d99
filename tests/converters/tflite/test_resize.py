"""Resize at the positions of ONNX, whichever operators of LiteRT that takes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converters.tflite.support import check, reasons


def resize(attributes: str, scales: str = "", sizes: str = "") -> str:
    given = f"s = Constant<value_floats=[{scales}]>() y = Resize<{attributes}>(x, , s)"
    if sizes:
        given = f"s = Constant<value_ints=[{sizes}]>() y = Resize<{attributes}>(x, , , s)"
    return f"g (float[1,3,5,6] x) => (float[a,b,c,d] y) {{ t = Abs(x) {given.replace('(x', '(t')} }}"


COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize("sizes", ["1,3,10,12", "1,3,7,4", "1,3,5,18"])
def test_nearest(coordinates: str, rounding: str, sizes: str):
    attributes = f'mode="nearest", coordinate_transformation_mode="{coordinates}", nearest_mode="{rounding}"'
    check(resize(attributes, sizes=sizes))


def test_doubling_is_one_operator():
    attributes = 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
    assert "RESIZE_NEAREST_NEIGHBOR" in check(resize(attributes, scales="1.0,1.0,2.0,2.0"))


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("sizes", ["1,3,10,12", "1,3,7,4", "1,3,1,9"])
def test_linear(coordinates: str, sizes: str):
    check(resize(f'mode="linear", coordinate_transformation_mode="{coordinates}"', sizes=sizes))


def test_bilinear_is_one_operator_and_other_scales_are_products():
    attributes = 'mode="linear", coordinate_transformation_mode="half_pixel"'
    assert "RESIZE_BILINEAR" in check(resize(attributes, scales="1.0,1.0,2.0,2.0"))
    found = check(resize(attributes, scales="1.0,1.0,1.5,1.7"))  # sizes are rounded down, scales are not
    assert found.count("FULLY_CONNECTED") == 2


@pytest.mark.parametrize("scales", ["1.0,1.0,1.15,2.0", "1.0,1.0,1.15,1.15"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_scales_that_leave_a_size(mode: str, scales: str):
    check(resize(f'mode="{mode}", coordinate_transformation_mode="half_pixel"', scales=scales))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("op", "opset"), [("Upsample", 9), ("Resize", 10)])
def test_the_first_operators(op: str, opset: int, mode: str):
    weights = {"s": np.float32([1, 1, 2, 1.5])}
    text = f'g (float[1,3,5,6] x) => (float[a,b,c,d] y) {{ y = {op}<mode="{mode}">(x, s) }}'
    check(text, weights=weights, opset=opset)


def test_refused():
    text = "g (float[1,3,5,6] x, float[4] s) => (float[1,3,10,12] y) { y = Resize(x, , s) }"
    assert reasons(text) == [("Resize", "its scales are computed as the model runs")]
    text = resize('mode="cubic"', sizes="1,3,10,12")
    assert reasons(text) == [("Resize", "it interpolates by cubic, and LiteRT only linearly or not at all")]
