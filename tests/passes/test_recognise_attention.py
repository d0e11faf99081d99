from __future__ import annotations

from collections import Counter

import onnx_ir as ir
import pytest

from edgeort.passes import PassContext, run_passes
from edgeort.passes.eliminate_dead import eliminate_dead
from edgeort.passes.recognise_attention import recognise_attention
from tests.passes.harness import check, counts, model_of

CONSTANTS = "float s = {0.7}, float r = {1.3}, float eight = {8}"
K_AND_V = "kt = Transpose <perm = [0,2,3,1]> (k) vt = Transpose <perm = [0,2,1,3]> (v)"
FORWARD = f"qt = Transpose <perm = [0,2,1,3]> (q) {K_AND_V}"
BACK = "y = Transpose <perm = [0,2,1,3]> (o)"
BEHIND = f"p = Softmax <axis = -1> (s0) o = MatMul (p, vt) {BACK}"
SIZES = {"N": 2, "R": 7, "C": 9}


def separate(body: str, inputs: str = "", outputs: str = "", constants: str = "") -> str:
    """q, k and v each from a projection of its own, heads not yet in front."""
    return f"""g (float[N,R,3,8] q, float[N,C,3,8] k, float[N,C,3,5] v{inputs}) => (float[N,R,3,5] y{outputs})
        <{CONSTANTS}{constants}> {{ {body} }}"""


def common(parts: str, scores: str = "a = MatMul (qs, kt) s0 = Mul (a, s)", constants: str = "") -> str:
    """All three from one projection [batch, row, 3, head, column]."""
    return f"""g (float[N,R,3,2,8] qkv) => (float[N,R,2,8] y) <{CONSTANTS},
        int64 i0 = {{0}}, int64 i1 = {{1}}, int64 i2 = {{2}}, int64[1] l0 = {{0}}, int64[1] l1 = {{1}},
        int64[1] l2 = {{2}}, int64[1] l3 = {{3}}{constants}> {{
        t = Transpose <perm = [2,0,3,1,4]> (qkv) {parts} kt = Transpose <perm = [0,1,3,2]> (ks) {scores}
        p = Softmax <axis = 3> (s0) o = MatMul (p, vs) y = Transpose <perm = [0,2,1,3]> (o) }}"""


def rewritten(text: str, opset: int = 17) -> tuple[ir.Model, PassContext]:
    return check(model_of(text, opset=opset), (recognise_attention, eliminate_dead), sizes=SIZES)


@pytest.mark.parametrize("opset", [12, 13, 18])
@pytest.mark.parametrize(
    "scores",
    [
        "s0 = MatMul (qt, kt)",
        "a = MatMul (qt, kt) s0 = Div (a, eight)",
        "a = MatMul (qt, kt) s0 = Mul (s, a)",
        "b = Mul (qt, s) c = Mul (r, kt) a = MatMul (b, c) s0 = Div (a, eight)",
    ],
)
def test_separate_projections_are_read_where_they_are(scores: str, opset: int) -> None:
    model, _ = rewritten(separate(f"{FORWARD} {scores} {BEHIND}"), opset)
    assert counts(model) == {"Unsqueeze": 3, "Attention": 1}


@pytest.mark.parametrize(
    "parts",
    [
        "qs = Gather <axis = 0> (t, i0) ks = Gather <axis = 0> (t, i1) vs = Gather <axis = 0> (t, i2)",
        "a0, a1, a2 = Split <axis = 0> (t, ones) qs = Squeeze (a0, l0) ks = Squeeze (a1, l0) vs = Squeeze (a2, l0)",
        "a0 = Slice (t, l0, l1, l0) a1 = Slice (t, l1, l2, l0, l1) a2 = Slice (t, l2, l3, l0) "
        "qs = Squeeze (a0, l0) ks = Squeeze (a1, l0) vs = Squeeze (a2, l0)",
    ],
)
def test_a_common_projection_is_read_in_parts(parts: str) -> None:
    model, _ = rewritten(common(parts, constants=", int64[3] ones = {1,1,1}" if "ones" in parts else ""))
    assert counts(model) == {"Attention": 1}
    node = model.graph[0]
    assert [node.attributes[f"{name}_part"].as_int() for name in "qkv"] == [0, 1, 2]


@pytest.mark.parametrize("mask", ["float[N,1,R,C]", "float[C]", "float[R,C]", "float[1,3,1,C]"])
@pytest.mark.parametrize("add", ["s0 = Add (a, mask)", "s0 = Add (mask, a)"])
def test_a_mask_joins(mask: str, add: str) -> None:
    body = f"{FORWARD} b = MatMul (qt, kt) a = Mul (b, s) {add} {BEHIND}"
    model, _ = rewritten(separate(body, inputs=f", {mask} mask"))
    assert counts(model) == {"Unsqueeze": 3, "MaskedAttention": 1}


def test_heads_that_stand_in_front_already_stay_there() -> None:
    text = f"""g (float[N,3,R,8] q, float[N,3,8,C] k, float[N,3,C,5] v) => (float[N,3,R,5] y) <{CONSTANTS}> {{
        a = MatMul (q, k) s0 = Mul (a, s) p = Softmax <axis = -1> (s0) y = MatMul (p, v) }}"""
    model, _ = rewritten(text)
    assert counts(model) == {"Unsqueeze": 3, "Attention": 1}
    assert list(model.graph[-1].attributes["out_perm"].as_ints()) == [0, 1, 2, 3]


def test_the_columns_of_q_stay_together() -> None:
    text = f"""g (float[N,8,3,R] q, float[N,C,3,8] k, float[N,C,3,5] v) => (float[N,R,3,5] y) {{
        qt = Transpose <perm = [0,2,3,1]> (q) {K_AND_V} s0 = MatMul (qt, kt) {BEHIND} }}"""
    model, _ = rewritten(text)
    assert counts(model) == {"Unsqueeze": 3, "Attention": 1, "Transpose": 1}


@pytest.mark.parametrize(
    "body",
    [
        f"{FORWARD} a = MatMul (qt, kt) s0 = Relu (a) {BEHIND}",
        f"{FORWARD} s0 = MatMul (qt, kt) p = Softmax <axis = 2> (s0) o = MatMul (p, vt) {BACK}",
        f"{FORWARD} a = MatMul (qt, kt) s0 = Mul (a, a) {BEHIND}",
        f"{FORWARD} a = MatMul (qt, kt) s0 = Div (eight, a) {BEHIND}",
        f"{FORWARD} s0 = MatMul (qt, kt) p = Softmax <axis = -1> (s0) h = Mul (p, s) o = MatMul (h, vt) {BACK}",
    ],
)
def test_near_misses_stay(body: str) -> None:
    model, _ = rewritten(separate(body))
    assert "Attention" not in counts(model) and counts(model)["MatMul"] == 2


@pytest.mark.parametrize("outputs", ["p", "s0", "a"])
def test_scores_that_others_read_stay(outputs: str) -> None:
    body = f"{FORWARD} a = MatMul (qt, kt) s0 = Mul (a, s) {BEHIND}"
    model, _ = rewritten(separate(body, outputs=f", float[N,3,R,C] {outputs}"))
    assert "Attention" not in counts(model)


@pytest.mark.parametrize(
    ("mask", "sentence"), [("float[N,1,R,L]", "not known to have the columns"), ("float[R,1]", "the columns")]
)
def test_refusals_say_why(mask: str, sentence: str) -> None:
    body = f"{FORWARD} a = MatMul (qt, kt) s0 = Add (a, mask) {BEHIND}"
    model = model_of(separate(body, inputs=f", {mask} mask"))
    model, ctx = check(model, (recognise_attention,), sizes={**SIZES, "L": 9})
    assert counts(model)["Softmax"] == 1
    assert sentence in str(ctx.log[0])


def test_an_old_opset_cannot_express_it() -> None:
    model, ctx = rewritten(separate(f"{FORWARD} s0 = MatMul (qt, kt) {BEHIND}".replace("-1", "3")), opset=11)
    assert counts(model) == Counter({"Transpose": 4, "MatMul": 2, "Softmax": 1})
    assert "opset 11" in str(ctx.log[0])


@pytest.mark.parametrize(("opset", "wanted"), [(12, 0), (13, 1)])
def test_a_softmax_without_an_axis_is_over_what_its_opset_says(opset: int, wanted: int) -> None:
    body = f"{FORWARD} s0 = MatMul (qt, kt) {BEHIND}".replace("<axis = -1> ", "")
    assert "Softmax (s0)" in body
    model, _ = rewritten(separate(body), opset)
    assert counts(model)["Attention"] == wanted


def test_an_operand_of_unknown_rank_is_read_behind_its_transpose() -> None:
    text = """g (float[2,4,3,5] q, int64[n] h, float[2,3,5,6] k, float[2,3,6,7] v) => (float[2,3,4,7] y)
        <float[2,3,4,5] t> { r = Reshape (q, h) t = Transpose <perm = [0,2,1,3]> (r) s = MatMul (t, k)
        p = Softmax <axis = -1> (s) y = MatMul (p, v) }"""
    model = model_of(text)
    run_passes(model, PassContext(check=True), (recognise_attention, eliminate_dead))
    assert counts(model) == {"Reshape": 1, "Transpose": 1, "Unsqueeze": 3, "Attention": 1}
