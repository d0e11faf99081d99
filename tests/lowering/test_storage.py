"""Constants that a plan holds without their zeros: which ones, what comes back, and what a broken one gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import PlanError
from edgeort.lowering import layout, storage
from edgeort.lowering.plan import PlanBuilder
from tests.kernels.support import open_plan, parse, plan_of, reference, same_bits

RNG = np.random.default_rng(2)


def thinned(size: int, dtype: str, zeros: float) -> np.ndarray:
    return np.where(RNG.random(size) < zeros, 0, RNG.integers(1, 100, size)).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "zeros", "sparse"),
    [
        ("f4", 0.5, True),
        ("f4", 0.3, True),
        ("f4", 0.2, False),
        ("i1", 0.5, True),
        ("i1", 0.3, False),
        ("f8", 0.9, True),
        ("f2", 0.5, True),
        ("f4", 1.0, True),
    ],
)
def test_where_it_is_much_smaller(dtype: str, zeros: float, sparse: bool):
    array = thinned(8192, dtype, zeros)
    stored = storage.sparse(array)
    assert (stored is not None) is sparse
    if stored is not None:
        held = np.count_nonzero(array)
        assert stored.nbytes == 8192 // 8 + held * array.itemsize <= storage.WORTH * array.nbytes


def test_small_constants_stay_as_they_are():
    assert storage.sparse(np.zeros(storage.LEAST_BYTES // 4 - 1, np.float32)) is None


def returning(array: np.ndarray, code: int) -> PlanBuilder:
    """A plan that returns a constant."""
    plan = PlanBuilder()
    plan.outputs = [plan.constant("c", array, code)]
    return plan


@pytest.mark.parametrize("size", [4096, 4097, 5000, 6399])
def test_what_comes_back(size: int, tmp_path: Path):
    for dtype, code in (("f4", 0), ("i1", 2), ("f8", 9), ("f2", 8)):
        array = thinned(size, dtype, 0.6)
        array[:3] = [-0.0, 1, 0]  # a bit of -0.0 is set
        plan = returning(array, code)
        assert storage.sparse(array) is not None and len(plan.to_bytes()) < 0.8 * array.nbytes + 1000
        (found,) = open_plan(plan, tmp_path).run([])
        assert same_bits(found, array)


def _record(raw: bytes) -> int:
    """Where the plan's first tensor record is."""
    return int(layout.HEADER.unpack(raw[: layout.HEADER.size])["tensors"][0])


@pytest.mark.parametrize("what", ["bit more", "bit behind", "byte less", "flag", "nothing"])
def test_broken_ones_are_refused(what: str, tmp_path: Path):
    array = thinned(5000, "f4", 0.6)
    array[0] = 0
    plan = returning(array, 0)
    raw = bytearray(plan.to_bytes())
    record = layout.TENSOR.unpack(raw[_record(raw) : _record(raw) + layout.TENSOR.size])
    fields = {name: value[0] if len(value) == 1 else value for name, value in record.items()}
    data = int(layout.HEADER.unpack(bytes(raw[: layout.HEADER.size]))["data"][0])
    assert fields["sparse"] == 1
    if what == "bit more":
        raw[data] |= 1
    elif what == "bit behind":
        raw[data] &= raw[data] - 1
        raw[data + 5000 // 8] |= 0x80
    elif what == "byte less":
        fields["bytes"] -= 4  # type: ignore[operator]
    elif what == "flag":
        fields["sparse"] = 2
    elif what == "nothing":
        fields["bytes"] = 0
    raw[_record(raw) : _record(raw) + layout.TENSOR.size] = layout.TENSOR.pack(**fields)  # type: ignore[arg-type]
    plan.to_bytes = lambda: bytes(raw)  # type: ignore[method-assign]
    with pytest.raises(PlanError, match="sparse constant's mask"):
        open_plan(plan, tmp_path)


def test_whoever_made_the_zeros_and_whatever_reads_them(tmp_path: Path):
    w, v = (RNG.standard_normal(shape).astype(np.float32) for shape in ((64, 32, 3, 3), (70, 65)))
    w[RNG.random(w.shape) < 0.5] = 0
    v[RNG.random(v.shape) < 0.9] = -0.0  # as a mask that was multiplied leaves them
    model = parse(
        "g (float[1,32,9,9] x, float[40,70] a) => (float[1,64,4,4] y, float[40,65] b) "
        "{ y = Conv<strides: ints = [2, 2]>(x, w) b = MatMul(a, v) }",
        {"w": w, "v": v},
    )
    plan = plan_of(model)
    found = {one.node: one for one in storage.sparse_weights(plan)}
    assert [one.kernel for one in found.values()] == [False, True]
    conv, product = found.values()
    assert conv.zeros == pytest.approx(0.5, abs=0.03) and conv.stored_bytes < 0.6 * conv.dense_bytes
    assert product.zeros == pytest.approx(0.9, abs=0.03) and product.dense_bytes == 70 * 65 * 4
    assert [plan.weights(node)[0] for node in plan.nodes if node.op != "Transpose"] == ["sparse f32", "sparse f32"]
    feeds = [RNG.standard_normal(shape).astype(np.float32) for shape in ((1, 32, 9, 9), (40, 70))]
    for ours, want in zip(open_plan(plan, tmp_path).run(feeds), reference(model, feeds), strict=True):
        np.testing.assert_allclose(ours, want, rtol=1e-3, atol=1e-3)
