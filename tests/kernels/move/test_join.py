"""Concat and Split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.move.support import TYPES, WITH_FILES, check, one, sample
from tests.kernels.support import engine, parse, run_everywhere, same_bits


@WITH_FILES
@given(data=st.data())
def test_split_and_concat_are_the_identity(data: st.DataObject, tmp_path: Path) -> None:
    sizes = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    kind = data.draw(st.sampled_from(list(TYPES)))
    shape[axis] = sum(sizes)
    x = sample(shape, TYPES[kind])
    parts = ", ".join(f"p{i}" for i in range(len(sizes)))
    text = f"{parts} = Split <axis = {axis}> (x, s) y = Concat <axis = {axis}> ({parts})"
    (got,) = engine(one(text, x, len(shape), kind, s=np.array(sizes)), tmp_path, threads=2).run([x])
    assert same_bits(got, x)


@pytest.mark.parametrize(
    ("text", "opset"),
    [
        ("y, z = Split <axis = 1, split = [5, 2]> (x)", 11),
        ("y, z = Split <axis = 1, num_outputs = 2> (x)", 18),
        ("s = Constant <value_ints = [1, 6]> () y, z = Split <axis = -1> (x, s)", 13),
    ],
)
def test_forms_of_split(text: str, opset: int, tmp_path: Path) -> None:
    x = sample((3, 7))
    model = parse(f"g (float[3, 7] x) => (float[a, b] y, float[c, d] z) {{ {text} }}", opset=opset)
    cut = {11: 5, 18: 4, 13: 1}[opset]
    first, second = run_everywhere(model, [x], tmp_path)
    assert same_bits(first, np.ascontiguousarray(x[:, :cut]))
    assert same_bits(second, np.ascontiguousarray(x[:, cut:]))


def test_a_part_that_nobody_reads(tmp_path: Path) -> None:
    x = sample((6, 4))
    check(one("a, y, b = Split <axis = 0> (x)", x, 2, opset=13), [x], x[2:4], tmp_path)


def test_large_concat(tmp_path: Path) -> None:
    a, b = sample((1, 40, 60, 50)), sample((1, 3, 60, 50))
    model = parse(
        "g (float[1, 40, 60, 50] a, float[1, 3, 60, 50] b) => (float[1, 43, 60, 50] y) { y = Concat <axis = 1> (a, b) }"
    )
    check(model, [a, b], np.concatenate([a, b], 1), tmp_path)
