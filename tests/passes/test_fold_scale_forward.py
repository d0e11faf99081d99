from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes.fold_scale_forward import fold_scale_forward
from tests.passes.harness import check, model_of, random_weights

TEXT = "g (float[N,4,6,5] x) => (float[N,6,P,Q] y) {{ a = Tanh (x) {0} }}"
SHAPES = {
    "w": (6, 4, 3, 3),
    "v": (6, 2, 1, 1),
    "d": (4, 1, 3, 3),
    "k": (6,),
    "s": (4, 1, 1),
    "t": (1, 4, 1, 1),
    "u": (),
}


def run(body: str, outputs: str = "float[N,6,P,Q] y", **more: np.ndarray) -> tuple[list[str], str]:
    weights = {n: v for n, v in (random_weights(**SHAPES) | more).items() if f", {n}" in body or f"({n}," in body}
    text = f"g (float[N,4,6,5] x) => ({outputs}) {{ a = Tanh (x) {body} }}"
    model, ctx = check(model_of(text, weights=weights), (fold_scale_forward,))
    return [node.op_type for node in model.graph][1:], " | ".join(map(str, ctx.log))


@pytest.mark.parametrize("scale", ["s", "t", "u"])
@pytest.mark.parametrize(
    "body",
    [
        "m = Mul (a, S) y = Conv (m, w, k)",
        "m = Mul (S, a) y = Conv <pads = [1, 1, 1, 1]> (m, w)",
        "m = Add (a, S) y = Conv (m, w, k)",
        "m = Add (S, a) y = Conv <group = 2> (m, v)",
        "m = Mul (a, S) n = Add (m, t) y = Conv (n, w)",
    ],
)
def test_folds(body: str, scale: str) -> None:
    assert run(body.replace("S", scale)) == (["Conv"], "")


def test_a_shift_before_pads_stays_and_loses_its_scale() -> None:
    found, log = run(
        "m = Mul (a, s) n = Add (m, t) y = Conv <pads = [1, 1, 1, 1], group = 4> (n, d)", "float[N,4,6,5] y"
    )
    assert found == ["Add", "Conv"]
    assert "pads with 0" in log


def test_all_readers_take_the_scale() -> None:
    found, _ = run(
        "m = Mul (a, s) y = Conv (m, w) z = Conv <pads = [1, 0, 1, 0]> (m, w)", "float[N,6,P,Q] y, float[N,6,R,S] z"
    )
    assert found == ["Conv", "Conv"]


@pytest.mark.parametrize(
    "body",
    [
        "m = Mul (a, s) y = Conv (m, w) r = Relu (m)",  # something else reads it
        "m = Mul (a, a) y = Conv (m, w) r = Relu (a)",
        "m = Mul (a, rows) y = Conv (m, w) r = Relu (a)",
        "m = Sub (a, s) y = Conv (m, w) r = Relu (a)",
    ],
)
def test_near_misses_stay(body: str) -> None:
    rows = random_weights(rows=(6, 5))["rows"]
    found, _ = run(body, "float[N,6,P,Q] y, float[N,4,6,5] r", rows=rows)
    assert len(found) == 3


@pytest.mark.parametrize("number", [0, 3e-38])
def test_a_scale_that_nothing_can_be_divided_by_keeps_the_shift(number: float) -> None:
    z = np.full((4, 1, 1), number, np.float32)
    found, log = run("m = Mul (a, z) n = Add (m, t) y = Conv <pads = [1, 1, 1, 1]> (n, w)", z=z)
    assert found == ["Mul", "Add", "Conv"]
    assert "0 or nearly" in log


@pytest.mark.parametrize("op", ["Mul", "Add"])
@pytest.mark.parametrize(
    ("shape", "constant"), [("N,1,6,5", (4, 1, 1)), ("4,6,5", (1, 4, 1, 1)), ("4,6,5", (1, 1, 1, 1))]
)
def test_a_constant_that_makes_the_tensor_larger_stays(op: str, shape: str, constant: tuple[int, ...]) -> None:
    text = f"g (float[{shape}] x) => (float[N,6,P,Q] y) {{ m = {op} (x, c) y = Conv (m, w) }}"
    model, _ = check(model_of(text, weights=random_weights(c=constant, w=(6, 4, 3, 3))), (fold_scale_forward,))
    assert [node.op_type for node in model.graph] == [op, "Conv"]


def test_a_scale_that_overflows_stays() -> None:
    s = np.full((4, 1, 1), 3e38, np.float32)
    weight = np.full((6, 4, 3, 3), 3, np.float32)
    text = "g (float[N,4,6,5] x) => (float[N,6,P,Q] y) { z = Sub (x, x) m = Mul (z, s) y = Conv (m, w) }"
    model, ctx = check(model_of(text, weights={"s": s, "w": weight}), (fold_scale_forward,))
    assert [node.op_type for node in model.graph] == ["Sub", "Mul", "Conv"]
    assert "finite" in str(ctx.log[0])


@pytest.mark.parametrize(("scale", "wanted"), [(0.5, ["Conv"]), (3e-4, ["Mul", "Conv"])])
def test_half_precision_keeps_its_digits(scale: float, wanted: list[str]) -> None:
    weight = (random_weights(w=(6, 4, 3, 3))["w"] * scale).astype(np.float16)
    weights = {"s": np.full((4, 1, 1), scale, np.float16), "w": weight}
    text = "g (float16[N,4,6,5] x) => (float16[N,6,P,Q] y) { m = Mul (x, s) y = Conv (m, w) }"
    model, _ = check(model_of(text, weights=weights), (fold_scale_forward,), rtol=2e-3)
    assert [node.op_type for node in model.graph] == wanted
