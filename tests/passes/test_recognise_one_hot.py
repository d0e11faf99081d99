from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes import eliminate_dead, recognise_one_hot
from tests.passes.harness import check, counts, model_of, random_feeds, random_weights, run_ort

STEPS = (recognise_one_hot, eliminate_dead)


def run(
    body: str, shape: str = "N,40,1", dtype: str = "int32", outputs: str = "float[A,B,C] y", **more: np.ndarray
) -> tuple[list[str], str]:
    wide = np.arange(7, dtype=dtype).reshape(1, 1, 7)
    arrays = {"range": wide, **random_weights(w=(7, 5), b=(1, 1, 5), s=(), t=(40, 1)), **more}
    weights = {name: array for name, array in arrays.items() if f", {name}" in body or f"({name}," in body}
    text = f"g ({dtype}[{shape}] x) => ({outputs}) {{ {body} }}"
    model, ctx = check(model_of(text, weights=weights), STEPS)
    return [node.op_type for node in model.graph], " | ".join(map(str, ctx.log))


ONE_HOT = "e = Equal (x, range) c = Cast <to = 1> (e) "
ROWS = ["Squeeze", "Add", "Clip", "Gather"]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("equal", ["Equal (x, range)", "Equal (range, x)"])
def test_one_hot_products_take_rows(equal: str, dtype: str) -> None:
    assert run(f"e = {equal} c = Cast <to = 1> (e) y = MatMul (c, w)", dtype=dtype) == (ROWS, "")


def test_an_index_outside_the_matrix_takes_zeros() -> None:
    text = f"g (int32[N,9,1] x) => (float[A,B,C] y) {{ {ONE_HOT} y = MatMul (c, w) }}"
    weights = {"range": np.arange(7, dtype=np.int32).reshape(1, 1, 7), **random_weights(w=(7, 5))}
    before = model_of(text, weights=weights)
    after, _ = check(before.clone(), STEPS)
    x = np.array([-(2**31), -8, -7, -1, 0, 6, 7, 8, 2**31 - 1], np.int32).reshape(1, 9, 1)
    np.testing.assert_array_equal(run_ort(after, {"x": x})[0], run_ort(before, {"x": x})[0])


def test_what_follows_is_computed_for_the_table() -> None:
    found, _ = run(ONE_HOT + "m = MatMul (c, w) a = Add (m, b) r = Relu (a) y = Mul (s, r)")
    assert found == ["Squeeze", "Add", "Clip", "Add", "Relu", "Mul", "Gather"]


@pytest.mark.parametrize("after", ["Add (m, t)", "Mul (m, m)", "Softmax (m)"])
def test_what_differs_from_row_to_row_stays(after: str) -> None:
    found, _ = run(ONE_HOT + f"m = MatMul (c, w) y = {after}")
    assert found[: len(ROWS)] == ROWS and len(found) == len(ROWS) + 1


@pytest.mark.parametrize(
    ("after", "more"),
    [
        (
            "k = Add (m, c5) y = Flatten <axis = 2> (k)",
            {"c5": np.ones((1, 1, 1, 1, 5), np.float32)},
        ),  # of a higher rank
        ("k = Add (m, c1) y = Flatten <axis = 2> (k)", {"c1": np.ones((1, 1, 1, 1), np.float32)}),
        (
            "k = Add (m, c5) y = Flatten <axis = 2> (k)",
            {"w": np.ones((7, 1), np.float32), "c5": np.ones(5, np.float32)},
        ),
        ("k = Clip (m, , s) y = Flatten <axis = 2> (k)", {}),
    ],
)
def test_what_a_table_cannot_hold_stays(after: str, more: dict[str, np.ndarray]) -> None:
    found, _ = run(ONE_HOT + f"m = MatMul (c, w) {after}", outputs="float[A,B] y", **more)
    assert found[:4] == ROWS and len(found) == len(ROWS) + 2


def test_indices_of_few_bits_stay() -> None:
    wide = np.arange(127, dtype=np.int8).reshape(1, 1, 127)  # 128, which the rows of zeros need, is none of int8
    found, _ = run(ONE_HOT + "y = MatMul (c, w)", dtype="int8", range=wide, w=random_weights(w=(127, 5))["w"])
    assert "Equal" in found


def test_few_rows_are_worked_on_themselves() -> None:
    found, _ = run(ONE_HOT + "m = MatMul (c, w) y = Relu (m)", shape="N,3,1")
    assert found == [*ROWS, "Relu"]


@pytest.mark.parametrize(
    ("body", "more"),
    [
        ("y = MatMul (c, w)", {"range": np.arange(1, 8, dtype=np.int32).reshape(1, 1, 7)}),
        ("y = MatMul (c, w)", {"range": np.zeros((1, 1, 7), np.int32)}),
        ("y = MatMul (c, w)", {"range": np.arange(40, dtype=np.int32).reshape(40, 1), **random_weights(w=(1, 5))}),
        ("d = Mul (c, s) y = MatMul (d, w)", {}),
    ],
)
def test_near_misses_stay(body: str, more: dict[str, np.ndarray]) -> None:
    assert "Equal" in run(ONE_HOT + body, **more)[0]


def test_an_infinite_matrix_stays() -> None:
    w = random_weights(w=(7, 5))["w"]
    w[3, 2] = np.inf
    text = f"g (int32[N,9,1] x) => (float[A,B,C] y) {{ {ONE_HOT} y = MatMul (c, w) }}"
    model = model_of(text, weights={"range": np.arange(7, dtype=np.int32).reshape(1, 1, 7), "w": w})
    feeds = random_feeds(model, {})
    after, ctx = check(model.clone(), STEPS)
    assert counts(after) == counts(model) and "infinite" in str(ctx.log[0])
    np.testing.assert_array_equal(run_ort(after, feeds)[0], run_ort(model, feeds)[0])
