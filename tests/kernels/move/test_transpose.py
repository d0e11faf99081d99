"""Transpose of every element size and odd shapes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeort.lowering.params import PARAMS
from tests.kernels.move.support import TYPES, WITH_FILES, check, one, refusal, sample
from tests.kernels.support import engine, same_bits


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(3, 50), (50, 3), (70, 33), (16, 16), (129, 65), (1, 9), (0, 4)])
def test_matrices_of_every_element_size_transpose(kind: str, shape: tuple[int, int], tmp_path: Path) -> None:
    x = sample(shape, TYPES[kind])
    check(one("y = Transpose <perm = [1, 0]> (x)", x, 2, kind), [x], np.ascontiguousarray(x.T), tmp_path)


@pytest.mark.parametrize("perm", [p for p in itertools.permutations(range(4)) if p[0] in (1, 3)])
def test_axes_permute(perm: tuple[int, ...], tmp_path: Path) -> None:
    x = sample((2, 3, 18, 7))
    check(one(f"y = Transpose <perm = {list(perm)}> (x)", x, 4), [x], np.ascontiguousarray(x.transpose(perm)), tmp_path)


def test_transpose_without_permutation_reverses_the_axes(tmp_path: Path) -> None:
    x = sample((2, 1, 5, 4))
    check(one("y = Transpose(x)", x, 4), [x], np.ascontiguousarray(x.T), tmp_path)


@pytest.mark.parametrize("shape", [(3, 224, 224), (224, 224, 3), (5, 200, 100)])
def test_large_transposes_are_cut_into_tiles(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = sample(shape)
    check(one("y = Transpose <perm = [2, 0, 1]> (x)", x, 3), [x], np.ascontiguousarray(x.transpose(2, 0, 1)), tmp_path)


@WITH_FILES
@given(data=st.data())
def test_transpose_and_its_inverse_are_the_identity(data: st.DataObject, tmp_path: Path) -> None:
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    perm = data.draw(st.permutations(range(len(shape))))
    inverse = [list(perm).index(i) for i in range(len(shape))]
    x = sample(shape, np.uint8)
    # The Reshape keeps the two from being cancelled.
    text = (
        f"t = Transpose <perm = {list(perm)}> (x) s = Shape(t) u = Reshape(t, s) y = Transpose <perm = {inverse}> (u)"
    )
    (got,) = engine(one(text, x, len(shape), "uint8"), tmp_path).run([x])
    assert same_bits(got, x)


def test_a_plan_with_a_wrong_permutation_is_refused(tmp_path: Path) -> None:
    params = PARAMS["ListParams"].pack(count=2, values=[1, 1])
    assert "names axis 1 twice" in refusal("Transpose", [sample((2, 3))], params, tmp_path)
    params = PARAMS["ListParams"].pack(count=2, values=[0, 2])
    assert "out of range for rank 2" in refusal("Transpose", [sample((2, 3))], params, tmp_path)
