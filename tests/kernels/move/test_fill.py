"""Tensors made from a rule: Range, ConstantOfShape, EyeLike, Trilu."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.move.support import check, sample
from tests.kernels.support import engine, parse, run_everywhere, same_bits


@pytest.mark.parametrize(
    ("kind", "dtype", "values"),
    [
        ("float", np.float32, (1.5, 4.0, 0.25)),
        ("float", np.float32, (3.0, -1.0, -0.7)),
        ("int32", np.int32, (10, -3, -4)),
        ("int64", np.int64, (5, 5, 1)),
        ("int64", np.int64, (-(2**62), 2**62, 2**60)),
    ],
)
def test_ranges(kind: str, dtype: type, values: tuple[float, float, float], tmp_path: Path) -> None:
    model = parse(f"g ({kind} a, {kind} b, {kind} d) => ({kind}[n] y) {{ y = Range(a, b, d) }}")
    start, limit, delta = (dtype(v) for v in values)
    n = max(0, int(np.ceil((values[1] - values[0]) / values[2])))
    want = (start + np.arange(n).astype(dtype) * delta).astype(dtype)
    check(model, [np.array(start), np.array(limit), np.array(delta)], want, tmp_path)


def test_constants_of_a_shape(tmp_path: Path) -> None:
    model = parse(
        """g (int64[3] s) => (int32[a, b, c] y, float[d, e, f] z) {
        y = ConstantOfShape <value = int32[1] {7}> (s) z = ConstantOfShape(s) }"""
    )
    opened = engine(model, tmp_path)
    for shape in ((2, 0, 3), (2, 2, 3)):
        y, z = opened.run([np.array(shape, np.int64)])
        assert same_bits(y, np.full(shape, 7, np.int32))
        assert same_bits(z, np.zeros(shape, np.float32))


@pytest.mark.parametrize("k", [-9, -1, 0, 2, 9])
def test_diagonals(k: int, tmp_path: Path) -> None:
    x = sample((2, 3, 5))
    model = parse(
        f"""g (float[2, 3, 5] x, int64 k) => (float[2, 3, 5] u, float[2, 3, 5] l, uint8[3, 5] e) {{
        u = Trilu <upper = 1> (x, k) l = Trilu <upper = 0> (x, k)
        p, q = Split <axis = 0> (x, ones) r = Squeeze(p, axes) e = EyeLike <k = {k}, dtype = 2> (r) }}""",
        {"ones": np.array([1, 1]), "axes": np.array([0])},
    )
    u, lower, e = run_everywhere(model, [x, np.array(k)], tmp_path)
    assert same_bits(u, np.triu(x, k))
    assert same_bits(lower, np.tril(x, k))
    assert same_bits(e, np.eye(3, 5, k, np.uint8))
