"""Einsum against NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeort
from edgeort.errors import UnsupportedError
from tests.kernels.support import engine, parse, run_everywhere

RNG = np.random.default_rng(13)
TYPES = {"float": np.float32, "double": np.float64, "int64": np.int64}
CASES = {
    "bhid,bhjd->bhij": ((2, 3, 5, 7), (2, 3, 4, 7)),
    "bhij,bhjd->bihd": ((2, 3, 5, 7), (2, 3, 7, 4)),
    "ij,jk": ((5, 7), (7, 4)),
    "i,j->ji": ((5,), (7,)),
    "bij,bj->bi": ((2, 5, 7), (2, 7)),
    "ijk,jkl->il": ((3, 4, 5), (4, 5, 6)),
    "abc,d->ad": ((3, 4, 5), (6,)),
    "ij->": ((3, 4),),
    "ba": ((3, 4),),
    "ij,jk,kl->il": ((3, 4), (4, 5), (5, 6)),
    "...ij,...jk->...ik": ((2, 3, 4, 5), (5, 6)),
    "...d,d->...": ((2, 3, 4), (4,)),
    "i...,i...->...": ((3, 4), (3, 4)),
    "td,edh->eth": ((5, 7), (3, 7, 4)),
    "edh,td->teh": ((3, 7, 4), (5, 7)),
    "bthd,hde->bte": ((2, 3, 4, 5), (4, 5, 6)),
    "bshd,bthd->bst": ((2, 3, 4, 5), (2, 6, 4, 5)),
    "bj,bji->bi": ((2, 5), (2, 5, 7)),
    "bji,bj->bi": ((2, 5, 7), (2, 5)),
    "td,tkde,tk->te": ((3, 4), (3, 2, 4, 5), (3, 2)),
    "abij,cdjk->dacbik": ((2, 1, 3, 4), (2, 3, 4, 5)),
    "jk,ijk->i": ((3, 4), (5, 3, 4)),
    "id,d->i": ((0, 4), (4,)),
    "id,jd->ij": ((3, 0), (2, 0)),
}


@pytest.mark.parametrize("element", TYPES)
@pytest.mark.parametrize("equation", CASES)
def test_against_numpy(equation: str, element: str, tmp_path: Path) -> None:
    arrays = [RNG.integers(-4, 5, size=shape).astype(TYPES[element]) for shape in CASES[equation]]
    inputs = ", ".join(f"{element}[{','.join(map(str, a.shape))}] x{i}" for i, a in enumerate(arrays))
    names = ", ".join(f"x{i}" for i in range(len(arrays)))
    model = parse(f'g ({inputs}) => ({element} y) {{ y = Einsum<equation="{equation}">({names}) }}')
    got = run_everywhere(model, arrays, tmp_path)[0]
    want = np.einsum(equation, *arrays)
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)  # small integers: exact in every type


def test_attention_is_a_matrix_product(tmp_path: Path) -> None:
    text = 'g (float[1,2,3,4] q, float[1,2,5,4] k) => (float y) { y = Einsum<equation="bhid,bhjd->bhij">(q, k) }'
    assert [node.op for node in engine(parse(text), tmp_path).nodes] == ["Transpose", "Gemm", "Cast"]


def test_many_matrices_times_one_are_matrix_products(tmp_path: Path) -> None:
    text = 'g (float[5,7] x, float[3,7,4] w) => (float y) { y = Einsum<equation="td,edh->eth">(x, w) }'
    assert [node.op for node in engine(parse(text), tmp_path).nodes] == ["Unsqueeze", "Gemm", "Cast"]


def test_diagonals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="diagonal"):
        engine(parse('g (float[3,3] x) => (float y) { y = Einsum<equation="ii->i">(x) }'), tmp_path)


@pytest.mark.parametrize("equation", ["ii->i", "ii", "bii->b", "iji->j", "...ii->i...", "bii,bi->bi", "iii->i"])
def test_diagonals_of_known_sizes(equation: str) -> None:
    """A body reads them with Reshape and Slice (model/bodies/plain.py)."""
    rng = np.random.default_rng(0)
    sizes = {"bii": (2, 3, 3), "ii": (3, 3), "iji": (3, 2, 3), "...ii": (2, 3, 3), "bi": (2, 3), "iii": (3, 3, 3)}
    arrays = [rng.standard_normal(sizes[term]).astype(np.float32) for term in equation.split("->")[0].split(",")]
    inputs = ", ".join(f"float[{','.join(map(str, a.shape))}] x{i}" for i, a in enumerate(arrays))
    names = ", ".join(f"x{i}" for i in range(len(arrays)))
    proto = parse(f'g ({inputs}) => (float[] y) {{ y = Einsum<equation="{equation}">({names}) }}')
    with edgeort.InferenceSession(proto, threads=1) as session:
        (got,) = session.run(None, {f"x{i}": a for i, a in enumerate(arrays)})
    np.testing.assert_allclose(got, np.einsum(equation, *arrays), rtol=1e-5, atol=1e-5)
