"""SparseGemm: the bits of the dense product for every pattern of zeros, and what a broken mask gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.engine import Engine
from edgeort.errors import PlanError
from edgeort.lowering import sparse
from tests.kernels.support import open_plan, parse, plan_of, run_both, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(5)


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def thinned(k: int, n: int, zeros: float) -> np.ndarray:
    return np.where(RNG.random((k, n)) < zeros, 0, random(k, n)).astype(np.float32)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Makes every product that may be a SparseGemm one, or none."""
    return lambda wanted: monkeypatch.setattr(sparse, "pays", lambda *_: wanted)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op for node in plan_of(model).nodes]


# Rows that fill tiles of every number of vectors at some level, and some more.
@pytest.mark.parametrize("m", [1, 3, 4, 5, 15, 16, 17, 31, 33, 49, 64, 79, 97, 113, 127, 129, 150])
def test_tiles_have_the_bits_of_the_dense_product(m: int, choose: Callable[[bool], None], tmp_path: Path) -> None:
    choose(True)
    for k, n in ((1, 1), (5, 7), (16, 16), (33, 24), (64, 65), (130, 131)):
        a, b = random(m, k), thinned(k, n, 0.7)
        model = parse(f"g (float[{m},{k}] a) => (float[{m},{n}] y) {{ y = MatMul(a, b) }}", {"b": b})
        assert operators(model) == ["SparseGemm"]
        assert same_bits(run_everywhere(model, [a], tmp_path)[0], library().gemm(a, b))


PATTERNS = {
    "no weight": lambda w: w * 0,
    "all weights": lambda w: w,
    "empty columns": lambda w: np.where(np.arange(w.shape[1]) % 3, 0, w),
    "full columns": lambda w: np.where(np.arange(w.shape[1]) % 3, w, 0),
    "empty rows": lambda w: np.where(np.arange(len(w))[:, None] % 3, 0, w),
    "the last row": lambda w: np.where(np.arange(len(w))[:, None] == len(w) - 1, w, 0),
    "negative zeros": lambda w: np.where(w > 0.5, w, np.float32(-0.0)),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_of_zeros(pattern: str, choose: Callable[[bool], None], tmp_path: Path) -> None:
    choose(True)
    w = np.ascontiguousarray(PATTERNS[pattern](random(67, 35)), np.float32)
    x, b = random(1, 67, 6, 7), random(35)
    model = parse(
        "g (float[1,67,6,7] x) => (float[1,35,6,7] y) { y = Conv(x, w, b) }",
        {"w": np.ascontiguousarray(w.T)[..., None, None], "b": b},
    )
    (y,) = run_everywhere(model, [x], tmp_path)
    expected = library().gemm(x.reshape(67, 42).T, w) + b
    assert same_bits(y.reshape(35, 42).T, expected)


def test_epilogues_slices_and_threads(choose: Callable[[bool], None], tmp_path: Path) -> None:
    model = parse(
        """g (float[n,24,h,w] x) => (float[n,70,h,w] y) {
            a = Conv(x, wa, ba)
            r = Relu(a)
            c = Conv(x, wb)
            s = Sigmoid(c)
            t = Mul(c, s)
            u = Add(t, x)
            j = Concat<axis: int = 1>(r, u)
            y = Conv(j, wc, bc)
        }""",
        {
            "wa": thinned(40, 24, 0.8)[..., None, None],
            "ba": random(40),
            "wb": thinned(24, 24, 0.7)[..., None, None],
            "wc": thinned(70, 64, 0.9)[..., None, None],
            "bc": random(70),
        },
    )
    x = random(2, 24, 9, 13)
    found = {}
    for wanted in (True, False):
        choose(wanted)
        assert operators(model).count("SparseGemm") == 3 * wanted
        (found[wanted],) = run_both(model, [x], tmp_path)
    assert same_bits(found[True], found[False])


def test_row_streams(choose: Callable[[bool], None], tmp_path: Path) -> None:
    model = parse(
        """g (float[1,16,61,40] x) => (float[1,24,61,40] y) {
            a = Conv(x, wa, ba)
            b = Relu(a)
            c = Conv<group: int = 96, pads: ints = [1, 1, 1, 1]>(b, wd)
            d = Relu(c)
            y = Conv(d, wb)
        }""",
        {
            "wa": thinned(96, 16, 0.8)[..., None, None],
            "ba": random(96),
            "wd": random(96, 1, 3, 3),
            "wb": thinned(24, 96, 0.8)[..., None, None],
        },
    )
    x = random(1, 16, 61, 40)
    choose(False)
    dense = run_everywhere(model, [x], tmp_path)[0]
    choose(True)
    opened = open_plan(plan_of(model), tmp_path)
    assert opened.stats.arena_bytes < 96 * 61 * 40 * 4  # the wide tensors do not exist
    assert same_bits(run_everywhere(model, [x], tmp_path)[0], dense)


@pytest.mark.parametrize(
    ("inputs", "node"),
    [
        ("float[5,130] x", "MatMul(x, w)"),
        ("float[2,3,4,130] x", "MatMul(x, w)"),
        ("float[130] x", "MatMul(x, w)"),
        ("float[0,130] x", "MatMul(x, w)"),
        ("float[5,130] x", "Gemm<alpha: float = 0.5, beta: float = 2.0>(x, w, b)"),
        ("float[5,130] x", "Gemm<transB: int = 1>(x, v, b)"),
    ],
)
def test_products_of_all_ranks(inputs: str, node: str, choose: Callable[[bool], None], tmp_path: Path) -> None:
    choose(True)
    w = thinned(130, 31, 0.75)
    constants = {name: array for name, array in {"w": w, "v": w.T, "b": random(31)}.items() if f" {name}" in node}
    model = parse(f"g ({inputs}) => (float[] y) {{ y = {node} }}", constants)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert "SparseGemm" in operators(model)
    shape = [int(size) for size in inputs[inputs.index("[") + 1 : inputs.index("]")].split(",")]
    run_both(model, [random(*shape)], tmp_path)


def test_infinities_meet_no_zeros(choose: Callable[[bool], None], tmp_path: Path) -> None:
    choose(True)
    model = parse(
        "g (float[2,3] x) => (float[2,2] y) { y = MatMul(x, w) }", {"w": np.array([[1, 0], [0, 2], [0, 0]], "f")}
    )
    (y,) = run_everywhere(model, [np.array([[np.inf, 1, np.nan], [-0.0, 0.0, 1]], np.float32)], tmp_path)
    assert same_bits(y, np.array([[np.inf, 2], [0, 0]], np.float32))


def _spoil(name: str, mask: np.ndarray) -> np.ndarray:
    mask = mask.copy()
    if name == "more":
        mask[0, 0] |= mask[0, 0] + np.uint64(1)  # the lowest zero
    elif name == "fewer":
        mask[0, 0] &= mask[0, 0] - np.uint64(1)
    elif name == "behind":
        mask[0, 0] &= mask[0, 0] - np.uint64(1)
        mask[0, 1] |= np.uint64(1 << 63)
    return mask[:-1] if name == "shape" else mask


@pytest.mark.parametrize(
    ("name", "words"),
    [("more", "more entries"), ("fewer", "fewer entries"), ("behind", "behind the last row"), ("shape", "wrong shape")],
)
def test_broken_masks_are_refused(name: str, words: str, choose: Callable[[bool], None], tmp_path: Path) -> None:
    choose(True)
    model = parse("g (float[4,70] x) => (float[4,9] y) { y = MatMul(x, w) }", {"w": thinned(70, 9, 0.7)})
    plan = plan_of(model)
    tensor = plan.tensors[plan.nodes[0].inputs[2]]
    assert tensor.data is not None
    tensor.data = _spoil(name, tensor.data)
    tensor.dims = tensor.data.shape
    with pytest.raises(PlanError, match=words):
        _run(open_plan(plan, tmp_path))


def _run(engine: Engine) -> None:
    engine.run([random(4, 70)])
