"""Matrix products: every tile against the plain reference bit for bit, and Gemm's forms against ONNX Runtime."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeort.lowering import compressed, matrix
from tests.kernels.support import parse, plan_of, run_both, run_everywhere, same_bits
from tests.reference import library

RNG = np.random.default_rng(1)


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


# Every number of rows that a tile can have, and columns that need every width of tile and a tail.
@pytest.mark.parametrize("m", [*range(1, 17), 25, 49])
def test_tiles_have_the_bits_of_the_reference(m: int, tmp_path: Path) -> None:
    for n, k in ((1, 1), (7, 5), (16, 9), (24, 33), (32, 4), (40, 11), (49, 7), (131, 18)):
        a, b = random(m, k), random(k, n)
        model = parse(f"g (float[{m},{k}] a) => (float[{m},{n}] y) {{ y = MatMul(a, b) }}", {"b": b})
        assert same_bits(run_everywhere(model, [a], tmp_path)[0], library().gemm(a, b))


@pytest.mark.parametrize(("m", "k", "n"), [(0, 4, 5), (3, 0, 5), (3, 4, 0)])
def test_products_without_rows_sums_or_columns(m: int, k: int, n: int, tmp_path: Path) -> None:
    model = parse(f"g (float[{m},{k}] a, float[{k},{n}] b) => (float[{m},{n}] y) {{ c = MatMul(a, b) y = Relu(c) }}")
    (y,) = run_everywhere(model, [random(m, k), random(k, n)], tmp_path)
    assert y.shape == (m, n) and not y.any()


def test_gemm_in_all_its_forms(tmp_path: Path) -> None:
    biases = ((19,), (5, 1), (5, 19), (1, 19), (1,), None)
    for ta, tb, constant, bias in itertools.product((0, 1), (0, 1), (True, False), biases):
        a, b = random(*((7, 5) if ta else (5, 7))), random(*((19, 7) if tb else (7, 19)))
        operands = {"b": b} | ({"c": random(*bias)} if bias else {})
        inputs = {"a": a} | ({} if constant else operands)
        graph = helper.make_graph(
            [
                helper.make_node("Gemm", ["a", *operands], ["g"], alpha=0.5, beta=2.0, transA=ta, transB=tb),
                helper.make_node("Tanh", ["g"], ["y"]),
            ],
            "g",
            [
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape)
                for name, array in inputs.items()
            ],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (5, 19))],
            [onnx.numpy_helper.from_array(array, name) for name, array in operands.items()] if constant else [],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        run_both(model, list(inputs.values()), tmp_path)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 5, 7), (3, 7, 9)), ((2, 3, 5, 7), (7, 9)), ((5, 7), (2, 3, 7, 9)), ((1, 4, 5, 7), (3, 1, 7, 2)),
        ((1, 4, 5, 7), (7, 9)), ((3, 1, 5, 7), (7, 9)),
        ((7,), (7, 9)), ((5, 7), (7,)), ((7,), (7,)), ((2, 0, 7), (7, 3)), ((4, 0), (0, 3)),
    ],
)  # fmt: skip
def test_matmul_of_any_rank(a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path) -> None:
    x, y = random(*a), random(*b)
    shape = ",".join(map(str, np.matmul(x, y).shape))
    dims = [",".join(map(str, s)) for s in (a, b)]
    model = parse(f"g (float[{dims[0]}] a, float[{dims[1]}] b) => (float[{shape}] y) {{ y = MatMul(a, b) }}")
    run_both(model, [x, y], tmp_path)


def test_epilogue_runs_on_the_tiles(tmp_path: Path) -> None:
    model = parse(
        "g (float[33,20] a, float[33,50] r) => (float[33,50] y)"
        "{ p = MatMul(a, w) q = Add(p, b) s = Sigmoid(q) t = Mul(q, s) u = Add(t, r) y = Mul(u, v) }",
        {"w": random(20, 50), "b": random(50), "v": random(33, 1)},
    )
    run_both(model, [random(33, 20), random(33, 50)], tmp_path)


@pytest.mark.parametrize(
    ("shape", "tail", "taken"),
    [
        ((5,), "y = Add(p, b)", True), ((1, 5), "y = Add(b, p)", True), ((), "q = Add(p, b) y = Relu(q)", True),
        ((5,), "q = Add(p, b) s = Sigmoid(q) y = Mul(q, s)", True),
        ((5, 1), "y = Add(p, b)", False), ((5, 5), "y = Add(p, b)", False), ((5,), "y = Sub(p, b)", False),
        ((5,), "q = Add(p, b) y = Mul(q, p)", False),
    ],
)  # fmt: skip
def test_what_is_added_to_each_row_is_a_bias(shape: tuple[int, ...], tail: str, taken: bool, tmp_path: Path) -> None:
    constants = {"w": random(7, 5), "b": random(*shape)}
    model = parse(f"g (float[5,7] a) => (float[5,5] y) {{ p = MatMul(a, w) {tail} }}", constants)
    (node,) = plan_of(model).nodes
    assert (node.inputs[2] >= 0) == taken
    run_both(model, [random(5, 7)], tmp_path)


def test_a_sparse_product_has_that_bias_too(tmp_path: Path) -> None:
    weights = random(128, 96)
    weights[RNG.random(weights.shape) < 0.95] = 0
    text = "g (float[64,128] a) => (float[64,96] y) { p = MatMul(a, w) q = Add(p, b) y = Relu(q) }"
    model = parse(text, {"w": weights, "b": random(96)})
    assert [node.op for node in plan_of(model).nodes] == ["SparseGemm"]
    run_both(model, [random(64, 128)], tmp_path)


@pytest.mark.parametrize("b", [(20, 1), (20,)])
def test_epilogue_of_one_column(b: tuple[int, ...], tmp_path: Path) -> None:
    shape = (33, *b[1:])
    dims = ",".join(map(str, shape))
    text = f"g (float[33,20] a, float[{dims}] r) => (float[{dims}] y) {{ p = MatMul(a, w) q = Add(p, r) y = Tanh(q) }}"
    run_both(parse(text, {"w": random(*b)}), [random(33, 20), random(*shape)], tmp_path)


def test_panels_hold_whole_cache_lines() -> None:
    weights = random(3, 20)
    packed = compressed.panels(weights)
    assert np.array_equal(packed[0], weights[:, :16])
    assert np.array_equal(packed[1, :, :4], weights[:, 16:]) and not packed[1, :, 4:].any()


def test_a_bias_of_minus_zero_is_packed_as_zero() -> None:
    assert not np.signbit(matrix.padded_bias(np.array([-0.0], np.float32), 1)).any()
