"""Resize and its relatives against ONNX Runtime, or against ONNX's own definition where ONNX Runtime stops short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from edgeort.errors import PlanError
from tests.kernels.support import engine, parse, reference, run_both, run_everywhere, same_bits

RNG = np.random.default_rng(5)
FREE = ["", "a", "a, b", "a, b, c", "a, b, c, d", "a, b, c, d, e"]


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


def resize(rank: int, attributes: str, opset: int = 19, dtype: str = "float", **constants: object) -> onnx.ModelProto:
    """y = Resize <attributes> (x, roi, scales, sizes), of which the constants that are given exist."""
    arrays = {name: np.asarray(value, np.int64 if name == "sizes" else np.float32) for name, value in constants.items()}
    operands = ["x", *(name if name in arrays else "" for name in ("roi", "scales", "sizes"))]
    while operands[-1] == "":
        operands.pop()
    dims = ", ".join("NHWCD"[:rank])
    text = f"g ({dtype}[{dims}] x) => ({dtype}[{FREE[rank]}] y) {{ y = Resize <{attributes}> ({', '.join(operands)}) }}"
    return parse(text, arrays, opset=opset)


TRANSFORMS = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


@pytest.mark.parametrize("channels", [1, 5, 37])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("sizes", [(10, 14), (3, 13), (1, 7), (5, 20)])
def test_linear_channels_last(transform: str, sizes: tuple[int, int], channels: int, tmp_path: Path) -> None:
    attributes = f'mode = "linear", coordinate_transformation_mode = "{transform}"'
    x = normal(2, 5, 7, channels)
    (got,) = engine(resize(4, attributes, sizes=[2, *sizes, channels]), tmp_path).run([x])
    first = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    (want,) = reference(resize(4, attributes, sizes=[2, channels, *sizes]), [first])
    np.testing.assert_allclose(np.moveaxis(got, -1, 1), want, rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nearest_picks_the_neighbour_of_onnx_runtime(data: st.DataObject, tmp_path: Path) -> None:
    rounding = data.draw(st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    transform = data.draw(st.sampled_from(TRANSFORMS))
    attributes = f'mode = "nearest", nearest_mode = "{rounding}", coordinate_transformation_mode = "{transform}"'
    shape = [2, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), 3]
    if data.draw(st.booleans()):
        model = resize(4, attributes, sizes=[data.draw(st.integers(1, 20)) for _ in shape])
    else:
        scales = [data.draw(st.sampled_from([0.5, 0.6, 1.0, 1.5, 2.0, 2.7, 3.0])) for _ in shape]
        model = resize(4, attributes, scales=[max(s, 1.0 / d) for s, d in zip(scales, shape, strict=True)])
    x = normal(*shape)
    np.testing.assert_array_equal(engine(model, tmp_path).run([x])[0], reference(model, [x])[0])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "double"])
def test_nearest_of_any_type(dtype: str, tmp_path: Path) -> None:
    x = RNG.integers(0, 99, (1, 3, 4, 3)).astype("float64" if dtype == "double" else dtype)
    model = resize(4, 'mode = "nearest"', dtype=dtype, scales=[1, 2, 3, 1])
    (got,) = run_everywhere(model, [x], tmp_path)
    np.testing.assert_array_equal(got, x.repeat(2, 1).repeat(3, 2))


@pytest.mark.parametrize("exclude", [0, 1])
@pytest.mark.parametrize("scales", [[1, 1, 2, 2.5], [1, 1, 0.6, 0.75]])
def test_cubic(scales: list[float], exclude: int, tmp_path: Path) -> None:
    model = resize(4, f'mode = "cubic", cubic_coeff_a = -0.5, exclude_outside = {exclude}', scales=scales)
    run_both(model, [normal(2, 3, 6, 8)], tmp_path)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("sizes", [[2, 3], [9, 4], [12, 14]])
def test_antialias(mode: str, sizes: list[int], tmp_path: Path) -> None:
    model = resize(4, f'mode = "{mode}", antialias = 1, axes = [2, 1]', sizes=sizes[::-1])
    x = normal(1, 12, 14, 3)
    (got,) = run_everywhere(model, [x], tmp_path)
    (want,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [1, 2, 3, 4, 5])
def test_linear_along_any_number_of_axes(axes: int, tmp_path: Path) -> None:
    x = normal(2, 3, 4, 2, 3)
    sizes = [5, 2, 7, 3, 4][:axes] + list(x.shape[axes:])
    model = resize(5, 'mode = "linear"', sizes=sizes)
    (got,) = run_everywhere(model, [x], tmp_path)
    (want,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_aspect_ratio(policy: str, tmp_path: Path) -> None:
    model = resize(4, f'keep_aspect_ratio_policy = "{policy}", axes = [2, 3]', sizes=[7, 9])
    (got,) = run_everywhere(model, [normal(1, 2, 4, 6)], tmp_path)
    assert got.shape[2:] == {"stretch": (7, 9), "not_larger": (6, 9), "not_smaller": (7, 11)}[policy]


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_crop_fills_what_lies_outside(mode: str, tmp_path: Path) -> None:
    attributes = f'mode = "{mode}", coordinate_transformation_mode = "tf_crop_and_resize", extrapolation_value = 10.0'
    roi = [0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7]
    run_both(resize(4, attributes, roi=roi, sizes=[1, 1, 3, 5]), [normal(1, 1, 4, 4)], tmp_path)


def test_symmetric_half_pixels(tmp_path: Path) -> None:
    attributes = 'mode = "linear", coordinate_transformation_mode = "half_pixel_symmetric"'
    run_both(resize(4, attributes, scales=[1, 1, 2.3, 0.55]), [normal(1, 2, 5, 9)], tmp_path)


def test_sizes_that_a_run_computes(tmp_path: Path) -> None:
    model = parse(
        """g (float[1, H, W, 2] x, float[4] s) => (float[a, b, c, d] y) {
            y = Resize <mode = "linear"> (x, , s) }""",
        opset=19,
    )
    opened = engine(model, tmp_path)
    x = normal(1, 4, 5, 2)
    for scales in ([1, 2, 2, 1], [1, 0.5, 3, 1]):
        (got,) = opened.run([x, np.array(scales, np.float32)])
        (want,) = ReferenceEvaluator(model).run(None, {"x": x, "s": np.array(scales, np.float32)})
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(
    ("opset", "node"),
    [
        (7, 'Upsample <mode = "MODE", scales = [1.0, 1.0, 2.0, 3.0]> (x)'),
        (9, 'Upsample <mode = "MODE"> (x, s)'),
        (10, 'Resize <mode = "MODE"> (x, s)'),
    ],
)
def test_older_operators(opset: int, node: str, mode: str, tmp_path: Path) -> None:
    text = f"g (float[1, 2, 4, 5] x) => (float[a, b, c, d] y) {{ y = {node.replace('MODE', mode)} }}"
    constants = {"s": np.array([1, 1, 2, 3], np.float32)} if "s)" in node else None
    run_both(parse(text, constants, opset=opset), [normal(1, 2, 4, 5)], tmp_path)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e20])
def test_senseless_scales_are_refused(scale: float, tmp_path: Path) -> None:
    model = parse(
        'g (float[A, B] x, float[2] s) => (float[a, b] y) { y = Resize <mode = "linear"> (x, , s) }', opset=19
    )
    with pytest.raises(PlanError, match="scale 1 is"):
        engine(model, tmp_path).run([normal(2, 3), np.array([1, scale], np.float32)])


def test_nothing_cannot_be_resized(tmp_path: Path) -> None:
    model = resize(2, 'mode = "linear"', sizes=[2, 3])
    with pytest.raises(PlanError, match="dimension 1 is empty"):
        engine(model, tmp_path).run([np.zeros((2, 0), np.float32)])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "node",
    [
        'DepthToSpace <blocksize = 2, mode = "DCR"> (x)',
        'DepthToSpace <blocksize = 3, mode = "CRD"> (x)',
        "SpaceToDepth <blocksize = 2> (x)",
    ],
)
@pytest.mark.parametrize("width", [6, 130])
def test_depth_and_space(node: str, channels_last: bool, width: int, tmp_path: Path) -> None:
    x = normal(2, 4, width, 36) if channels_last else normal(2, 36, 4, width)
    dims = ", ".join(map(str, x.shape))
    body = f"y = {node}"
    if channels_last:
        inner = node.replace("(x)", "(t)")
        body = f"t = Transpose <perm = [0, 3, 1, 2]> (x) u = {inner} y = Transpose <perm = [0, 2, 3, 1]> (u)"
    run_both(parse(f"g (float[{dims}] x) => (float[a, b, c, d] y) {{ {body} }}"), [x], tmp_path, rtol=0, atol=0)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("align", [0, 1])
def test_grid_sample(mode: str, padding: str, align: int, tmp_path: Path) -> None:
    model = parse(
        f"""g (float[2, 3, 5, 6] x, float[2, 4, 7, 2] g) => (float[2, 3, 4, 7] y) {{
            y = GridSample <mode = "{mode}", padding_mode = "{padding}", align_corners = {align}> (x, g) }}""",
        opset=20,
    )
    grid = RNG.uniform(-1.4, 1.4, (2, 4, 7, 2)).astype(np.float32)
    run_both(model, [normal(2, 3, 5, 6), grid], tmp_path, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_grid_sample_of_volumes_and_blocks(mode: str, padding: str, tmp_path: Path) -> None:
    """More places than a block has, the last block a part of one."""
    model = parse(
        f"""g (float[2, 5, 3, 4, 6] x, float[2, 5, 7, 4, 3] g) => (float[2, 5, 5, 7, 4] y) {{
            y = GridSample <mode = "{mode}", padding_mode = "{padding}"> (x, g) }}""",
        opset=20,
    )
    grid = RNG.uniform(-1.6, 1.6, (2, 5, 7, 4, 3)).astype(np.float32)
    run_both(model, [normal(2, 5, 3, 4, 6), grid], tmp_path, rtol=1e-4, atol=1e-4)


def test_grid_sample_reads_no_neighbour_of_what_is_outside(tmp_path: Path) -> None:
    model = parse(
        """g (float[1, 1, 1, 2] x, float[1, 1, 3, 2] g) => (float[1, 1, 1, 3] y) { y = GridSample (x, g) }""", opset=20
    )
    x = np.array([[[[np.nan, 1.0]]]], np.float32)
    grid = np.array([[[[0.5, 0.0], [1.5, 0.0], [5.0, 0.0]]]], np.float32)
    (got,) = run_everywhere(model, [x, grid], tmp_path)
    np.testing.assert_array_equal(got.ravel(), [1.0, 0.0, 0.0])


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample_far_away(padding: str, tmp_path: Path) -> None:
    model = parse(
        f"""g (float[1, 1, 2, 2] x, float[1, 1, 4, 2] g) => (float[1, 1, 1, 4] y) {{
            y = GridSample <padding_mode = "{padding}"> (x, g) }}""",
        opset=20,
    )
    far = np.array([np.inf, -np.inf, np.nan, 3e38], np.float32)
    (got,) = run_everywhere(model, [np.ones((1, 1, 2, 2), np.float32), np.stack([far, far], -1)[None, None]], tmp_path)
    np.testing.assert_allclose(got, 0 if padding == "zeros" else 1)


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("size", [[2, 3, 4, 5], [2, 3, 2, 4, 5]])
def test_affine_grid(size: list[int], align: int, tmp_path: Path) -> None:
    d = len(size) - 2
    model = parse(
        f"""g (float[2, {d}, {d + 1}] t) => (float[{FREE[d + 2]}] y) {{
            y = AffineGrid <align_corners = {align}> (t, size) }}""",
        {"size": np.array(size)},
        opset=20,
    )
    theta = normal(2, d, d + 1)
    (got,) = run_everywhere(model, [theta], tmp_path)
    (want,) = ReferenceEvaluator(model).run(None, {"t": theta})
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("half", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize(("mode", "samples"), [("avg", 0), ("avg", 2), ("max", 2)])
def test_roi_align(mode: str, samples: int, half: str, tmp_path: Path) -> None:
    model = parse(
        f"""g (float[2, 3, 8, 9] x, float[4, 4] r, int64[4] i) => (float[a, b, c, d] y) {{
            y = RoiAlign <mode = "{mode}", sampling_ratio = {samples}, output_height = 3, output_width = 2,
                          spatial_scale = 0.5, coordinate_transformation_mode = "{half}"> (x, r, i) }}"""
    )
    corner = RNG.uniform(-2, 10, (4, 2))
    regions = np.concatenate([corner, corner + RNG.uniform(1, 12, (4, 2))], 1).astype(np.float32)
    x = np.abs(normal(2, 3, 8, 9))
    run_both(model, [x, regions, np.array([0, 1, 1, 0])], tmp_path, rtol=1e-4)


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_of_many_cells_and_samples(mode: str, tmp_path: Path) -> None:
    """More cells than a vector has, more samples than are worked out at once, and regions that leave the image."""
    model = parse(
        f"""g (float[1, 3, 40, 50] x, float[3, 4] r, int64[3] i) => (float[a, b, c, d] y) {{
            y = RoiAlign <mode = "{mode}", sampling_ratio = {1 if mode == "max" else 0}, output_height = 5,
                          output_width = 7> (x, r, i) }}"""
    )
    regions = np.array([[-5, -4, 48, 41], [0, 0, 3, 2], [20, 10, 60, 39]], np.float32)
    run_both(model, [normal(1, 3, 40, 50), regions, np.zeros(3, np.int64)], tmp_path, rtol=1e-4, atol=1e-5)


def test_roi_align_of_regions_that_make_no_sense(tmp_path: Path) -> None:
    model = parse(
        """g (float[1, 1, 4, 4] x, float[2, 4] r, int64[2] i) => (float[a, b, c, d] y) {
            y = RoiAlign <output_height = 1, output_width = 1> (x, r, i) }"""
    )
    regions = np.array([[0, 0, np.inf, 1e30], [np.nan] * 4], np.float32)
    (got,) = run_everywhere(model, [np.ones((1, 1, 4, 4), np.float32), regions, np.array([-5, 7])], tmp_path)
    assert same_bits(got, np.zeros((2, 1, 1, 1), np.float32))
