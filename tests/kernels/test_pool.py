"""Pooling: bit for bit against the scalar reference, and against ONNX Runtime.

The two Transposes around each operator cancel, so that it runs channels-last.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeort.errors import PlanError
from tests.kernels.support import engine, parse, reference, run_both, run_everywhere, same_bits
from tests.reference import library

PERMS = {3: ("0, 2, 1", "0, 2, 1"), 4: ("0, 3, 1, 2", "0, 2, 3, 1"), 5: ("0, 4, 1, 2, 3", "0, 2, 3, 4, 1")}
RNG = np.random.default_rng(7)


def channels_last(node: str, shape: tuple[int, ...], dtype: str = "float", opset: int = 19):
    """A model whose one operator, `y = Op <...> (x)`, runs channels-last; the input is channels-last too."""
    first, last = PERMS[len(shape)]
    dims = ", ".join(map(str, shape))
    free = ", ".join("abcdef"[: len(shape)])
    return parse(
        f"""g ({dtype}[{dims}] xl) => ({dtype}[{free}] yl) {{
            x = Transpose <perm = [{first}]> (xl) {node} yl = Transpose <perm = [{last}]> (y) }}""",
        opset=opset,
    )


@pytest.mark.parametrize("channels", [1, 3, 16, 37, 70])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_windows_match_the_reference(op: str, channels: int, tmp_path: Path) -> None:
    x = RNG.normal(0, 1, (2, 9, 7, channels)).astype(np.float32)
    model = channels_last(f"y = {op} <kernel_shape = [3, 2], strides = [2, 3], pads = [1, 0, 2, 1]> (x)", x.shape)
    (got,) = run_everywhere(model, [x], tmp_path)
    want = library().pool2d(x, (3, 2), maximum=op == "MaxPool", strides=(2, 3), pads=(1, 0, 2, 1))
    assert same_bits(got, want)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_matches_onnx_runtime(data: st.DataObject, tmp_path: Path) -> None:
    pick = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    op = data.draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool"]))
    kernel = [pick(1, 3), pick(1, 4)]  # ONNX Runtime refuses automatic pads with strides above the kernel
    pads = [pick(0, kernel[i % 2] - 1) for i in range(4)]
    mode = data.draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID", None]))
    farthest = 1 if mode else 2  # ONNX Runtime leaves dilations out of the automatic pads
    strides, dilations = [pick(1, k) for k in kernel], [pick(1, farthest) for _ in kernel]
    sizes = f"kernel_shape = {kernel}, strides = {strides}, dilations = {dilations}"
    where = f'auto_pad = "{mode}"' if mode else f"pads = {pads}, ceil_mode = {0 if op == 'LpPool' else pick(0, 1)}"
    extra = {"AveragePool": f", count_include_pad = {pick(0, 1)}", "LpPool": f", p = {pick(1, 3)}"}.get(op, "")
    x = RNG.normal(0, 1, (1, 9, 8, 5)).astype(np.float32)
    model = channels_last(f"y = {op} <{sizes}, {where}{extra}> (x)", x.shape)
    (got,) = engine(model, tmp_path).run([x])
    (want,) = reference(model, [x])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "kernel"), [((2, 11, 5), [3]), ((1, 5, 6, 4, 9), [2, 3, 2])])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_one_and_three_spatial_dimensions(op: str, shape: tuple[int, ...], kernel: list[int], tmp_path: Path) -> None:
    x = RNG.normal(0, 1, shape).astype(np.float32)
    run_both(channels_last(f"y = {op} <kernel_shape = {kernel}, strides = {kernel}> (x)", shape), [x], tmp_path)


@pytest.mark.parametrize(
    ("op", "name"), [("GlobalAveragePool", "mean"), ("GlobalMaxPool", "max"), ("GlobalLpPool", "l2")]
)
@pytest.mark.parametrize("shape", [(2, 7, 7, 37), (1, 1, 3, 130), (3, 33, 4)])
def test_global_pools_match_the_reference(op: str, name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    x = RNG.normal(0, 1, shape).astype(np.float32)
    (got,) = run_everywhere(channels_last(f"y = {op} (x)", shape), [x], tmp_path)
    want = library().reduce(name, x, range(1, x.ndim - 1))
    assert same_bits(got.reshape(want.shape), want)


def test_maximum_of_zeros_and_nan(tmp_path: Path) -> None:
    x = np.array([0.0, -0.0, np.nan, 1.0, -np.inf, -np.inf], np.float32).reshape(1, 6, 1)
    (got,) = run_everywhere(
        channels_last("y = MaxPool <kernel_shape = [2], strides = [2]> (x)", x.shape), [x], tmp_path
    )
    assert same_bits(got.reshape(-1), np.array([0.0, np.nan, -np.inf], np.float32))


@pytest.mark.parametrize(("dtype", "name"), [(np.uint8, "uint8"), (np.int8, "int8")])
def test_maximum_of_bytes(dtype: type, name: str, tmp_path: Path) -> None:
    x = RNG.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (1, 6, 7, 75), dtype, endpoint=True)
    run_both(
        channels_last("y = MaxPool <kernel_shape = [2, 3], pads = [1, 1, 0, 1]> (x)", x.shape, name), [x], tmp_path
    )


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_no_images(op: str, tmp_path: Path) -> None:
    model = channels_last(f"y = {op} <kernel_shape = [2, 2]> (x)", (0, 6, 7, 5))
    assert run_everywhere(model, [np.zeros((0, 6, 7, 5), np.float32)], tmp_path)[0].shape == (0, 5, 6, 5)


@pytest.mark.parametrize("order", [0, 1])
def test_indices(order: int, tmp_path: Path) -> None:
    x = RNG.integers(0, 9, (2, 3, 7, 5)).astype(np.float32)
    model = parse(
        f"""g (float[2, 3, 7, 5] x) => (float[a, b, c, d] y, int64[e, f, g, h] i) {{
            y, i = MaxPool <kernel_shape = [3, 2], strides = [2, 1], pads = [1, 0, 0, 1],
                            storage_order = {order}> (x) }}"""
    )
    run_both(model, [x], tmp_path)


def test_unpooling_undoes_pooling(tmp_path: Path) -> None:
    x = RNG.normal(0, 1, (2, 3, 6, 8)).astype(np.float32)
    model = parse(
        """g (float[2, 3, 6, 8] x) => (float[a, b, c, d] z) {
            y, i = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
            z = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (y, i) }"""
    )
    (got,) = run_both(model, [x], tmp_path)
    assert np.count_nonzero(got) == 2 * 3 * 3 * 4


def test_indices_outside_are_dropped(tmp_path: Path) -> None:
    model = parse(
        """g (float[1, 1, 1, 2] y, int64[1, 1, 1, 2] i) => (float[a, b, c, d] z) {
            z = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (y, i) }"""
    )
    values, indices = np.ones((1, 1, 1, 2), np.float32), np.array([-1, 8], np.int64).reshape(1, 1, 1, 2)
    (got,) = engine(model, tmp_path).run([values, indices])
    assert same_bits(got, np.zeros((1, 1, 2, 4), np.float32))


def test_wrong_rank_is_refused(tmp_path: Path) -> None:
    model = parse("g (float[N, C] x) => (float[a, b] y) { y = MaxPool <kernel_shape = [2, 2]> (x) }")
    with pytest.raises(PlanError, match="rank 2, not 4"):
        engine(model, tmp_path).run([np.zeros((2, 3), np.float32)])
