"""Shape and Size: known before anything runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.move.support import check, sample
from tests.kernels.support import engine, parse, same_bits


def test_shapes_are_computed_while_preparing(tmp_path: Path) -> None:
    model = parse(
        """g (float[n, 3, m] x) => (float[a, b, c] y, int64[2] z, int64 e) {
        z = Shape <start = -2> (x) e = Size(x) s = Shape(x)
        n = Gather(s, zero) m = Slice(s, last, three) shape = Concat <axis = 0> (m, minus, n)
        t = Transpose <perm = [0, 2, 1]> (x) y = Reshape(t, shape) }""",
        {name: np.array([value]) for name, value in {"zero": 0, "last": 2, "three": 3, "minus": -1}.items()},
    )
    opened = engine(model, tmp_path)
    for shape in ((2, 3, 5), (1, 3, 1)):
        x = sample(shape)
        y, z, size = opened.run([x])
        assert same_bits(y, np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(shape[2], -1, shape[0]))
        assert z.tolist() == list(shape[1:])
        assert size == x.size
    assert {node.op for node in opened.nodes if not node.skipped} <= {"Transpose"}


@pytest.mark.parametrize(("start", "end"), [(0, 9), (1, 2), (-2, 3), (-9, -1), (2, 1)])
def test_parts_of_a_shape(start: int, end: int, tmp_path: Path) -> None:
    x = sample((4, 5, 6))
    model = parse(f"g (float[4, b, 6] x) => (int64[n] y) {{ y = Shape <start = {start}, end = {end}> (x) }}")
    check(model, [x], np.array(x.shape[start:end] if start >= -3 else x.shape[:end], np.int64), tmp_path)
