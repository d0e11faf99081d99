"""Operators that move elements, and those that take them by index."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converters.tflite.support import check, normal, reasons


def constants(**arrays: list[int]) -> str:
    return " ".join(f"{name} = Constant<value_ints = {list(a)}>()" for name, a in arrays.items())


@pytest.mark.parametrize(
    ("body", "out"),
    [
        ("s = Constant<value_ints = [3, -1]>() y = Reshape(x, s)", "a,b"),
        ("y = Flatten<axis=2>(x)", "a,b"),
        ("a = Constant<value_ints = [0, -1]>() y = Unsqueeze(x, a)", "a,b,c,d,e,f"),
        ("y = Transpose<perm=[3,1,0,2]>(x)", "a,b,c,d"),
        ("y = Transpose(x)", "a,b,c,d"),
    ],
)
def test_shapes_and_transposes(body: str, out: str):
    check(f"g (float[2,3,4,5] x) => (float[{out}] y) {{ {body} }}")


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ([1, 0], [3, 4], [1, 3], [1, 1]),
        ([-2], [2**31], [2], [1]),
        ([0, 1], [100, 100], [2, 3], [2, 3]),
        ([-1], [-100], [3], [-1]),
        ([3, 4], [0, -100], [2, 3], [-2, -1]),
    ],
)
def test_slices(starts: list[int], ends: list[int], axes: list[int], steps: list[int]):
    body = constants(s=starts, e=ends, a=axes, t=steps)
    check(f"g (float[2,3,4,5] x) => (float[a,b,c,d] y) {{ {body} y = Slice(x, s, e, a, t) }}")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_and_split(axis: int):
    text = f"""g (float[2,4,6] x) => (float[a,b,c] y, float[a,b,d] z) {{
        t, u = Split<axis={axis}>(x) y = Concat<axis=1>(u, x, t) z = Neg(t) }}"""
    if axis != 1:
        text = text.replace("axis=1>(u, x, t)", f"axis={axis}>(u, x, t)")
    assert "SPLIT" in check(text)


def test_split_into_unequal_parts():
    text = """g (float[2,7] x) => (float[a,b] y, float[a,c] z) {
        s = Constant<value_ints = [5, 2]>() y, z = Split<axis=1>(x, s) }"""
    assert check(text) == ["SPLIT_V"]


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pads(mode: str):
    body = constants(p=[0, 1, 2, 0, 0, 2, 1, 3])
    text = f'g (float[2,3,4,5] x) => (float[a,b,c,d] y) {{ {body} y = Pad<mode="{mode}">(x, p) }}'
    found = check(text, opset=19)
    assert ("MIRROR_PAD" in found) == (mode == "reflect")


def test_pads_by_a_number_that_crop_and_along_axes():
    body = constants(p=[1, -1, -2, 2], a=[1, 3])
    text = (
        f"g (float[2,3,4,5] x) => (float[a,b,c,d] y) {{ {body} v = Constant<value_float = 2.5>() y = Pad(x, p, v, a) }}"
    )
    assert check(text, opset=19) == ["SLICE", "PADV2"]


def test_expand_and_tile():
    check(f"g (float[3,1] x) => (float[a,b,c] y) {{ {constants(s=[2, 3, 4])} y = Expand(x, s) }}")
    check(f"g (float[3,2] x) => (float[a,b] y) {{ {constants(s=[2, 3])} y = Tile(x, s) }}")


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_and_back(mode: str):
    text = f'g (float[1,12,3,5] x) => (float[a,b,c,d] y) {{ y = DepthToSpace<blocksize=2, mode="{mode}">(x) }}'
    assert ("DEPTH_TO_SPACE" in check(text)) == (mode == "DCR")
    check("g (float[1,3,4,6] x) => (float[a,b,c,d] y) { y = SpaceToDepth<blocksize=2>(x) }")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather(axis: int):
    weights = {"i": np.int64([[1, -1], [0, 1]])}
    check(f"g (float[2,3,4] x) => (float[a,b,c,d] y) {{ y = Gather<axis={axis}>(x, i) }}", weights=weights)
    feeds = normal(x=(2, 3, 4)) | {"i": np.int64([1, -1, -2])}
    check(f"g (float[2,3,4] x, int64[3] i) => (float[a,b,c] y) {{ y = Gather<axis={axis}>(x, i) }}", feeds=feeds)


def test_gather_of_one():
    weights = {"i": np.int64(-1)}
    assert check("g (float[2,3,4] x) => (float[a,b] y) { y = Gather<axis=1>(x, i) }", weights=weights) == [
        "SLICE",
        "RESHAPE",
    ]


def test_gather_by_coordinates():
    weights = {"i": np.int64([[0, -1], [1, 0]])}
    check("g (float[2,3,4] x) => (float[a,b] y) { y = GatherND(x, i) }", weights=weights)
    feeds = normal(x=(2, 3, 4)) | {"i": np.int64([[1, -1, 0]])}
    check("g (float[2,3,4] x, int64[1,3] i) => (float[a] y) { y = GatherND(x, i) }", feeds=feeds)


def test_gather_elements():
    weights = {"i": np.int64([[1, -1, 0], [2, 1, 1]])}
    check("g (float[3,3] x) => (float[a,b] y) { y = GatherElements<axis=0>(x, i) }", weights=weights)
    feeds = normal(x=(1, 6)) | {"i": np.int64([[1, -1, 0]])}
    check("g (float[1,6] x, int64[1,3] i) => (float[a,b] y) { y = GatherElements<axis=1>(x, i) }", feeds=feeds)
    text = "g (float[2,6] x, int64[2,3] i) => (float[a,b] y) { y = GatherElements<axis=1>(x, i) }"
    assert reasons(text) == [("GatherElements", "its indices are computed as the model runs")]


def test_an_output_that_is_an_input_or_a_constant():
    text = "g (float[2,3] x) => (float[a,b] y, float[a,b] z) { y = Identity(x) z = Neg(x) }"
    check(text)
    check("g (float[3] x) => (float[n] y, float[n] z) { y = Constant<value_floats = [1.0, 2.0]>() z = Neg(x) }")
