"""Normalisations: bit for bit against the scalar reference, and against ONNX Runtime.

The two Transposes around a channels-last operator cancel, so that it runs channels-last.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.errors import PlanError, UnsupportedError
from tests.kernels.support import engine, parse, run_both, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0.3, 1, shape).astype(np.float32)


def channels_last(node: str, shape: tuple[int, ...], opset: int = 21, **constants: np.ndarray) -> onnx.ModelProto:
    """A model of rank 4 whose one operator, `y = Op <...> (x, ...)`, runs channels-last on a channels-last input."""
    n, h, w, c = shape
    return parse(
        f"""g (float[{n}, {h}, {w}, {c}] xl) => (float[{n}, {h}, {w}, {c}] yl) {{
            x = Transpose <perm = [0, 3, 1, 2]> (xl) {node} yl = Transpose <perm = [0, 2, 3, 1]> (y) }}""",
        constants,
        opset=opset,
    )


@pytest.mark.parametrize("n", [1, 7, 16, 33, 100])
def test_layer_norm_matches_the_reference(n: int, tmp_path: Path) -> None:
    x, scale, bias = normal(5, n), normal(n), normal(n)
    model = parse(
        "g (float[R, N] x) => (float[R, N] y) { y = LayerNormalization <epsilon = 0.01> (x, s, b) }",
        {"s": scale, "b": bias},
    )
    (got,) = run_everywhere(model, [x], tmp_path)
    assert same_bits(got, library().layer_norm(x, scale, bias, 0.01))


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_layer_norm_of_any_axis_with_statistics(axis: int, tmp_path: Path) -> None:
    x = normal(2, 3, 5)
    scale = normal(*x.shape[axis:])
    model = parse(
        f"""g (float[2, 3, 5] x) => (float[2, 3, 5] y, float[e, f, g] m, float[h, i, j] v) {{
            y, m, v = LayerNormalization <axis = {axis}> (x, s) }}""",
        {"s": scale},
    )
    run_both(model, [x], tmp_path)


@pytest.mark.parametrize("n", [3, 16, 45])
def test_rms_norm_matches_the_reference(n: int, tmp_path: Path) -> None:
    x, scale = normal(4, n), normal(n)
    model = parse(
        "g (float[4, N] x) => (float[4, N] y) { y = RMSNormalization <epsilon = 0.01> (x, s) }", {"s": scale}, 10, 23
    )
    (got,) = run_everywhere(model, [x], tmp_path)
    assert same_bits(got, library().rms_norm(x, scale, 0.01))


@pytest.mark.parametrize("shape", [(2, 5, 7, 37), (1, 1, 1, 3), (1, 6, 6, 130)])
def test_instance_norm_matches_the_reference(shape: tuple[int, ...], tmp_path: Path) -> None:
    x, scale, bias = normal(*shape), normal(shape[-1]), normal(shape[-1])
    model = channels_last("y = InstanceNormalization <epsilon = 0.01> (x, s, b)", shape, s=scale, b=bias)
    (got,) = run_everywhere(model, [x], tmp_path)
    assert same_bits(got, library().group_norm(x, scale, bias, shape[-1], 0.01))


@pytest.mark.parametrize("groups", [1, 3, 6, 24])
def test_group_norm_matches_the_reference(groups: int, tmp_path: Path) -> None:
    x, scale, bias = normal(2, 5, 3, 24), normal(24), normal(24)
    node = f"y = GroupNormalization <epsilon = 0.01, num_groups = {groups}> (x, s, b)"
    (got,) = run_everywhere(channels_last(node, x.shape, s=scale, b=bias), [x], tmp_path)
    assert same_bits(got, library().group_norm(x, scale, bias, groups, 0.01))


def test_group_norm_of_opset_18_has_one_scale_a_group(tmp_path: Path) -> None:
    x, scale, bias = normal(2, 4, 3, 12), normal(3), normal(3)
    node = "y = GroupNormalization <num_groups = 3> (x, s, b)"
    (got,) = run_everywhere(channels_last(node, x.shape, 18, s=scale, b=bias), [x], tmp_path)
    want = library().group_norm(x, np.repeat(scale, 4), np.repeat(bias, 4), 3, 1e-5)
    assert same_bits(got, want)


@pytest.mark.parametrize("op", ["InstanceNormalization", "GroupNormalization <num_groups = 3>"])
def test_channels_first_where_the_rank_is_unusual(op: str, tmp_path: Path) -> None:
    x, scale, bias = normal(2, 6, 3, 2, 2, 3), normal(6), normal(6)
    shape = "2, 6, 3, 2, 2, 3"
    model = parse(
        f"g (float[{shape}] x) => (float[{shape}] y) {{ y = {op} (x, s, b) }}", {"s": scale, "b": bias}, opset=21
    )
    run_both(model, [x], tmp_path)


def test_batch_norm_with_statistics_from_outside(tmp_path: Path) -> None:
    x, variance = normal(2, 4, 3, 19), np.abs(normal(19))
    model = parse(
        """g (float[2, 4, 3, 19] xl, float[19] s, float[19] b, float[19] m, float[19] v) => (float[2, 4, 3, 19] yl) {
            x = Transpose <perm = [0, 3, 1, 2]> (xl) y = BatchNormalization <epsilon = 0.01> (x, s, b, m, v)
            yl = Transpose <perm = [0, 2, 3, 1]> (y) }"""
    )
    run_both(model, [x, normal(19), normal(19), normal(19), variance], tmp_path)


def test_batch_norm_of_rank_2(tmp_path: Path) -> None:
    model = parse(
        """g (float[5, 19] x, float[19] s, float[19] b, float[19] m, float[19] v) => (float[5, 19] y) {
            y = BatchNormalization (x, s, b, m, v) }"""
    )
    run_both(model, [normal(5, 19), normal(19), normal(19), normal(19), np.abs(normal(19))], tmp_path)


def test_batch_norm_in_training_mode_is_refused(tmp_path: Path) -> None:
    model = parse(
        """g (float[5, 9] x, float[9] s, float[9] b, float[9] m, float[9] v) => (float[5, 9] y) {
            y = BatchNormalization <training_mode = 1> (x, s, b, m, v) }"""
    )
    with pytest.raises(UnsupportedError, match="training mode"):
        engine(model, tmp_path)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_lrn_in_both_layouts(size: int, tmp_path: Path) -> None:
    x = normal(2, 4, 3, 19)
    node = f"LRN <size = {size}, alpha = 0.3, beta = 0.6, bias = 1.5> (x)"
    (got,) = run_everywhere(channels_last(f"y = {node}", x.shape), [x], tmp_path)
    first = np.ascontiguousarray(np.moveaxis(x, -1, 1)).reshape(2, 19, 1, 1, 3, 4)
    plain = parse(f"g (float[2, 19, 1, 1, 3, 4] x) => (float[2, 19, 1, 1, 3, 4] y) {{ y = {node} }}")
    (want,) = run_everywhere(plain, [first], tmp_path)
    low, high = (size - 1) // 2, size // 2
    padded = np.pad(first.astype(np.float64) ** 2, [(0, 0), (low, high), *[(0, 0)] * 4])
    sums = sum(padded[:, k : k + 19] for k in range(size))
    np.testing.assert_allclose(want, first / (1.5 + 0.3 / size * sums) ** 0.6, rtol=1e-5)
    assert same_bits(np.ascontiguousarray(np.moveaxis(got, -1, 1)).reshape(want.shape), want)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_lp_normalization(axis: int, p: int, tmp_path: Path) -> None:
    x = normal(5, 21, 35)
    x[:, 2] = 0
    x[0, :, 3] = 0
    model = parse(
        f"g (float[5, 21, 35] x) => (float[5, 21, 35] y) {{ y = LpNormalization <axis = {axis}, p = {p}> (x) }}"
    )
    run_both(model, [x], tmp_path)


@pytest.mark.parametrize("axes", [[0, 2, 3], [1], [-1, 0]])
def test_mean_variance_normalization(axes: list[int], tmp_path: Path) -> None:
    x = normal(3, 4, 5, 6)
    model = parse(
        f"g (float[3, 4, 5, 6] x) => (float[3, 4, 5, 6] y) {{ y = MeanVarianceNormalization <axes = {axes}> (x) }}"
    )
    (got,) = run_everywhere(model, [x], tmp_path)
    mean, deviation = (f(x.astype(np.float64), tuple(axes), keepdims=True) for f in (np.mean, np.std))
    np.testing.assert_allclose(got, (x - mean) / (deviation + 1e-9), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 8), (3, 0)])
def test_layer_norm_of_nothing(shape: tuple[int, int], tmp_path: Path) -> None:
    model = parse("g (float[R, N] x, float[N] s) => (float[R, N] y) { y = LayerNormalization (x, s) }")
    (got,) = run_everywhere(model, [np.zeros(shape, np.float32), np.ones(shape[1], np.float32)], tmp_path)
    assert got.shape == shape


def test_scale_of_another_size_is_refused(tmp_path: Path) -> None:
    model = parse("g (float[R, N] x, float[M] s) => (float[R, N] y) { y = LayerNormalization (x, s) }")
    with pytest.raises(PlanError, match="input 1 has 3 values for 8"):
        engine(model, tmp_path).run([np.zeros((2, 8), np.float32), np.zeros(3, np.float32)])
