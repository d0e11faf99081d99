"""Attention against ONNX Runtime, and against the same products and a Softmax that divides last, node by node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.errors import PlanError
from edgeort.lowering.params import PARAMS
from tests.kernels.support import engine, everywhere, open_plan, parse, plan_of, run_both, same_bits

RNG = np.random.default_rng(7)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def model(mask: str = "", spelt_out: bool = False, batch: str = "N") -> onnx.ModelProto:
    """Three projections with the heads behind the rows; with `spelt_out` as the kernel computes it, and not fused."""
    scores = "c = MatMul (qt, ks) a = Add (c, mask)" if mask else "a = MatMul (qt, ks)"
    soften = "p = Softmax <axis = -1> (a) o = MatMul (p, vt)"
    if spelt_out:
        soften = """m = ReduceMax (a, last) d = Sub (a, m) e = Exp (d) n = ReduceSum (e, last)
          w = MatMul (e, vt) o = Div (w, n)"""
    more = f", {mask} mask" if mask else ""
    text = f"""g (float[N,R,H,D] q, float[{batch},C,H,D] k, float[{batch},C,H,E] v{more})
      => (float[N,R,H,E] y) <float s = {{0.35}}, int64[1] last = {{-1}}> {{
      qt = Transpose <perm = [0,2,1,3]> (q) kt = Transpose <perm = [0,2,3,1]> (k) vt = Transpose <perm = [0,2,1,3]> (v)
      ks = Mul (kt, s) {scores} {soften}
      y = Transpose <perm = [0,2,1,3]> (o) }}"""
    return parse(text)


SHAPES = (
    (1, 1, 1, 1, 1),
    (2, 13, 29, 8, 5),
    (1, 49, 197, 16, 33),
    (3, 5, 16, 15, 15),
    (1, 1, 300, 64, 64),
    (2, 0, 3, 4, 4),
)


@pytest.mark.parametrize("mask", ["", "float[N,1,R,C]", "float[C]", "float[1,H,1,C]"])
def test_same_bits_as_node_by_node(mask: str, tmp_path: Path) -> None:
    assert "Attention" in plan_of(model(mask)).ops and "Attention" not in plan_of(model(mask, True)).ops
    fused, separate = (everywhere(model(mask, spelt_out), tmp_path) for spelt_out in (False, True))
    for n, rows, columns, depth, width in SHAPES:
        inputs = [floats(n, rows, 3, depth), floats(n, columns, 3, depth), floats(n, columns, 3, width)]
        if mask:
            sizes = {"N": n, "R": rows, "C": columns, "H": 3, "1": 1}
            inputs.append(floats(*(sizes[dim] for dim in mask[6:-1].split(","))) * 3)
        assert same_bits(fused(inputs)[0], separate(inputs)[0])


def test_masks_that_are_one_row_or_nothing(tmp_path: Path) -> None:
    """Such a mask is read as one row, or not at all: of each batch entry, as it is in this run."""
    fused, separate = (everywhere(model("float[N,1,R,C]", spelt_out), tmp_path) for spelt_out in (False, True))
    inputs = [floats(4, 13, 3, 8), floats(4, 29, 3, 8), floats(4, 29, 3, 16)]
    mask = np.zeros((4, 1, 13, 29), np.float32)
    mask[1, ..., 20:] = -np.inf
    mask[2, ..., 5:] = np.finfo(np.float32).min
    mask[3, 0, 12, 28] = -np.inf  # one element of the last row
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 0, 3]):
        assert same_bits(fused([*inputs, mask[order]])[0], separate([*inputs, mask[order]])[0])


def test_no_keys_give_zeros(tmp_path: Path) -> None:
    run = everywhere(model(), tmp_path)
    assert not run([floats(2, 3, 2, 8), floats(2, 0, 2, 8), floats(2, 0, 2, 8)])[0].any()


def test_against_onnxruntime(tmp_path: Path) -> None:
    run_both(model(), [floats(2, 21, 5, 24), floats(2, 50, 5, 24), floats(2, 50, 5, 24)], tmp_path)
    shared = [floats(3, 21, 5, 24), floats(1, 50, 5, 24), floats(1, 50, 5, 24)]  # all batches read the same k and v
    run_both(model(batch="M"), shared, tmp_path)


def test_masked_columns_weigh_nothing(tmp_path: Path) -> None:
    inputs = [floats(2, 9, 3, 8), floats(2, 20, 3, 8), floats(2, 20, 3, 8)]
    mask = np.where(np.arange(20) < 11, 0, -np.inf).astype(np.float32)
    run = everywhere(model("float[C]"), tmp_path)
    whole = run([*inputs, mask])[0]
    assert same_bits(whole, run([inputs[0], *(x[:, :11] for x in inputs[1:]), mask[:11]])[0])
    inputs[1][:, 4] = np.nan
    assert np.isnan(run([*inputs, mask])[0]).all()


def test_parts_of_a_common_projection(tmp_path: Path) -> None:
    text = """g (float[N,R,3,H,D] qkv) => (float[N,R,H,D] y) <int64 i0 = {0}, int64 i1 = {1}, int64 i2 = {2}> {
      t = Transpose <perm = [2,0,3,1,4]> (qkv)
      q = Gather <axis = 0> (t, i0) k = Gather <axis = 0> (t, i1) v = Gather <axis = 0> (t, i2)
      kt = Transpose <perm = [0,1,3,2]> (k) a = MatMul (q, kt) p = Softmax <axis = -1> (a) o = MatMul (p, v)
      y = Transpose <perm = [0,2,1,3]> (o) }"""
    run_both(parse(text), [floats(2, 37, 3, 4, 17)], tmp_path)


def test_transposed_values(tmp_path: Path) -> None:
    text = """g (float[N,H,R,D] q, float[N,H,D,C] k, float[N,H,E,C] v) => (float[N,H,R,E] y) {
      vt = Transpose <perm = [0,1,3,2]> (v) a = MatMul (q, k) p = Softmax <axis = -1> (a) y = MatMul (p, vt) }"""
    run_both(parse(text), [floats(2, 3, 19, 6), floats(2, 3, 6, 23), floats(2, 3, 18, 23)], tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"perm": [0, 1, 2, 3, 3]}, "permutation of operand 0"),
        ({"perm": [5] * 15}, "permutation of operand 0"),
        ({"part": [0, 1, 0]}, "operand 1 has no part 1"),
        ({"part": [-1, 0, 0]}, "operand 0 has no part -1"),
        ({"out_perm": [0, 2, 3, 1]}, "output's permutation"),
        ({"perm": [0, 1, 4, 2, 3, 0, 1, 3, 2, 4, 0, 1, 3, 2, 4]}, "contiguous"),
        ({"perm": [0, 1, 3, 2, 4, 0, 1, 3, 4, 2, 0, 1, 3, 2, 4]}, "disagree"),
    ],
)
def test_malformed_plans_are_refused(change: dict[str, list[int]], words: str, tmp_path: Path) -> None:
    plan = plan_of(model())
    (node,) = (node for node in plan.nodes if node.op == "Attention")
    good = {name: list(values) for name, values in PARAMS["AttentionParams"].unpack(node.params).items()}
    node.params = PARAMS["AttentionParams"].pack(**{**good, **change})
    with pytest.raises(PlanError, match=words):
        open_plan(plan, tmp_path).run([floats(2, 9, 8, 8), floats(2, 7, 8, 8), floats(2, 7, 8, 8)])


def test_batches_that_disagree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="operand 0 has 2 for 3"):
        engine(model(batch="M"), tmp_path).run([floats(2, 9, 3, 8), floats(3, 7, 3, 8), floats(3, 7, 3, 8)])
