from __future__ import annotations

import onnx_ir as ir
import pytest

from edgeort.passes import PASSES, cancel_transposes, name_dims, to_nhwc
from edgeort.passes.group_epilogues import GROUP, MAX_ALONE, MAX_PROGRAM, ROLE, group_epilogues
from tests.passes.harness import check, model_of, random_weights

STEPS = (name_dims, to_nhwc, cancel_transposes, group_epilogues)
CONV = "Conv <pads = [1, 1, 1, 1]>"
W = random_weights(w=(6, 6, 3, 3), c=(6, 1, 1), p=(6, 1, 1), m=(6, 6), u=(6,))


def groups(model: ir.Model) -> list[list[str]]:
    """The operators of every group in the graph's order, anchors with a star."""
    found: dict[str, list[str]] = {}
    for node in model.graph:
        if GROUP in node.metadata_props:
            mark = "*" if node.metadata_props[ROLE] == "anchor" else ""
            found.setdefault(node.metadata_props[GROUP], []).append(node.op_type + mark)
        else:
            assert ROLE not in node.metadata_props
    return sorted(found.values())


def run(
    body: str, *, inputs: str = "float[N,6,H,W] x", outputs: str = "float[A,B,C,D] y"
) -> tuple[list[list[str]], str]:
    text = f"g ({inputs}) => ({outputs}) <float zero = {{0}}, float six = {{6}}> {{ {body} }}"
    used = {k: v for k, v in W.items() if f" {k})" in text or f"({k}," in text}
    model, ctx = check(model_of(text, weights=used), STEPS, sizes={"H": 7, "W": 8})
    return groups(model), " | ".join(map(str, ctx.log))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("a = CONV (x, w) y = Relu (a)", [["Conv*", "Relu"]]),
        ("a = CONV (x, w) b = Clip (a, zero, six) y = Mul (b, c)", [["Conv*", "Clip", "Mul"]]),
        ("a = CONV (x, w) s = Sigmoid (a) y = Mul (a, s)", [["Conv*", "Sigmoid", "Mul"]]),
        ("a = CONV (x, w) b = Add (a, x) y = PRelu (b, p)", [["Conv*", "Add", "PRelu"]]),
        (
            "a = CONV (x, w) b = Relu (a) d = CONV (b, w) e = Add (d, b) y = Relu (e)",
            [["Conv*", "Add", "Relu"], ["Conv*", "Relu"]],
        ),
        ("a = MaxPool <kernel_shape = [2, 2]> (x) y = Tanh (a)", [["MaxPool*", "Tanh"]]),
        ("a = GlobalAveragePool (x) b = CONV (a, w) h = HardSigmoid (b) y = Mul (x, h)", [["Conv*", "HardSigmoid"]]),
        ("a = Sigmoid (x) b = Tanh (a) y = Mul (b, x)", [["Sigmoid", "Tanh", "Mul"]]),
        ("a = Sigmoid (x) b = Tanh (x) y = Mul (a, b)", [["Sigmoid", "Tanh", "Mul"]]),
    ],
)
def test_groups(body: str, wanted: list[list[str]]) -> None:
    assert run(body.replace("CONV", CONV))[0] == wanted


def test_the_later_of_two_producers_takes_the_sum() -> None:
    found, _ = run(f"a = {CONV} (x, w) b = Relu (x) d = {CONV} (b, w) e = Add (a, d) y = Relu (e)")
    assert found == [["Conv*", "Add", "Relu"]]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        # a scale that is computed after the anchor, but not from it
        (
            "a = CONV (x, w) b = GlobalAveragePool (x) s = Sigmoid (b) d = Mul (a, s) y = Relu (d)",
            [["Conv*", "Mul", "Relu"], ["GlobalAveragePool*", "Sigmoid"]],
        ),
        # a program that goes on where the operand is there
        (
            "a = CONV (x, w) b = Relu (a) z = GlobalMaxPool (x) y = Add (b, z)",
            [["Conv*", "Relu", "Add"]],
        ),
        # computed from the anchor by another way
        (
            "a = CONV (x, w) b = Relu (a) z = GlobalMaxPool (b) y = Add (b, z)",
            [["Conv*", "Relu"]],
        ),
        (
            "a = CONV (x, w) z = Softmax (a) b = Relu (a) y = Add (b, z)",
            [["Relu", "Add"]],
        ),
    ],
)
def test_members_move_to_where_their_operands_are(body: str, wanted: list[list[str]]) -> None:
    assert run(body.replace("CONV", CONV))[0] == wanted


def test_matmul_and_gemm_anchor_with_constant_weights() -> None:
    inputs, outputs = "float[N,5,6] x, float[6,6] v", "float[N,5,6] y"
    assert run("a = MatMul (x, m) y = Relu (a)", inputs=inputs, outputs=outputs)[0] == [["MatMul*", "Relu"]]
    assert run("a = MatMul (x, v) y = Relu (a)", inputs=inputs, outputs=outputs)[0] == []
    vector = run("a = MatMul (x, u) y = Relu (a)", inputs="float[N,6] x", outputs="float[N] y")
    assert vector[0] == []
    gemm = run("a = Gemm (x, m) b = Add (a, x) y = Erf (b)", inputs="float[N,6] x", outputs="float[N,6] y")
    assert gemm[0] == [["Gemm*", "Add", "Erf"]]


@pytest.mark.parametrize(
    ("body", "outputs", "wanted"),
    [
        # an inner value is a graph output
        ("a = CONV (x, w) y = Relu (a)", "float[A,B,C,D] y, float[A,B,C,D] a", []),
        # two readers that never meet again
        (
            "a = CONV (x, w) b = Relu (a) y = Sigmoid (b) z = Tanh (b)",
            "float[A,B,C,D] y, float[A,B,C,D] z",
            [["Conv*", "Relu"]],
        ),
        # no program operator
        ("a = CONV (x, w) y = Softmax <axis = 1> (a)", "float[A,B,C,D] y", []),
        # an operand computed from the anchor's own result by another way
        ("a = CONV (x, w) b = GlobalAveragePool (a) y = Mul (a, b)", "float[A,B,C,D] y", []),
        # one elementwise node alone
        ("y = Relu (x)", "float[A,B,C,D] y", []),
    ],
)
def test_near_misses(body: str, outputs: str, wanted: list[list[str]]) -> None:
    assert run(body.replace("CONV", CONV), outputs=outputs)[0] == wanted


def test_an_operand_that_enlarges_the_result_is_refused() -> None:
    found, log = run(f"b = {CONV} (x, w) a = GlobalAveragePool (b) y = Mul (a, b)")
    assert found == []
    assert "not known to broadcast" in log


def test_sizes_that_are_not_known_to_be_equal_are_refused() -> None:
    inputs = "float[N,6,H,W] x, float[N,6,P,Q] z"
    text_sizes = {"H": 7, "W": 8, "P": 7, "Q": 8}
    text = f"g ({inputs}) => (float[A,B,C,D] y) {{ a = {CONV} (x, w) b = {CONV} (z, w) y = Add (a, b) }}"
    model, ctx = check(model_of(text, weights={"w": W["w"]}), STEPS, sizes=text_sizes)
    assert groups(model) == []
    assert "not known to broadcast" in str(ctx.log[0])


def test_other_types_than_float32_are_not_grouped() -> None:
    body = "a = Add (x, x) y = Mul (a, x) b = Add (z, z) q = Mul (b, z)"
    text = f"g (int32[N,4] x, float16[N,4] z) => (int32[N,4] y, float16[N,4] q) {{ {body} }}"
    model, _ = check(model_of(text), STEPS, rtol=1e-2)
    assert groups(model) == []


def test_long_chains_are_cut() -> None:
    chain = " ".join(f"r{i} = {'Relu' if i % 2 else 'Neg'} (r{i - 1})" for i in range(1, 40))
    found, _ = run(f"r0 = {CONV} (x, w) {chain} y = Identity (r39)")
    assert len(next(g for g in found if g[0] == "Conv*")) == 1 + MAX_PROGRAM
    assert max(len(g) for g in found if g[0] != "Conv*") == MAX_ALONE


def test_every_pass_before_leaves_room_for_the_groups() -> None:
    text = f"""g (float[N,6,H,W] x) => (float[A,B,C,D] y)
        <float three = {{3}}, float zero = {{0}}, float six = {{6}}> {{
        a = {CONV} (x, w)  d = Add (a, three)  e = Clip (d, zero, six)  f = Mul (a, e)
        h = Div (f, six)  y = Add (h, x) }}"""
    model, _ = check(model_of(text, weights={"w": W["w"]}), PASSES, sizes={"H": 5, "W": 5})
    assert groups(model) == [["Conv*", "HardSwish", "Add"]]


QUANTISED = """g (float[N,8] x) => (float[N,8] y{more}) <float s = {{0.05}}, uint8 z = {{120}}> {{
  q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) a = Sigmoid (d) b = QuantizeLinear (a, s, z)
  c = DequantizeLinear (b, s, z) e = Mul (d, c) f = QuantizeLinear (e, s, z) h = DequantizeLinear (f, s, z)
  y = Softmax (h) {nodes} }}"""


INSIDE = [
    "QuantizeLinear",
    "DequantizeLinear",
    "Sigmoid",
    "QuantizeLinear",
    "DequantizeLinear",
    "Mul",
    "QuantizeLinear",
]


@pytest.mark.parametrize(
    ("nodes", "more", "wanted"),
    [
        ("", "", [INSIDE]),
        ("w = Softmax (c)", ", float[N,8] w", [["Mul", "QuantizeLinear"], ["Sigmoid", "QuantizeLinear"]]),
    ],
)
def test_what_a_group_alone_quantises_and_restores_is_inside(nodes: str, more: str, wanted: list[list[str]]) -> None:
    model, _ = check(model_of(QUANTISED.format(more=more, nodes=nodes)), (group_epilogues,))
    assert groups(model) == wanted


def test_a_group_of_several_tensors_is_cut_at_integers() -> None:
    """One of a single tensor is not: what it makes of a byte is looked up."""
    text = """g (uint8[N,8] q, uint8[N,8] r) => (uint8[N,8] y, uint8[N,8] w) <float s = {0.05}, uint8 z = {120}> {
      d = DequantizeLinear (q, s, z) a = Sigmoid (d) b = QuantizeLinear (a, s, z) c = DequantizeLinear (b, s, z)
      t = Tanh (c) w = QuantizeLinear (t, s, z) e = DequantizeLinear (r, s, z) u = Sigmoid (e)
      v = QuantizeLinear (u, s, z) f = DequantizeLinear (v, s, z) h = Add (f, d) y = QuantizeLinear (h, s, z) }"""
    model, _ = check(model_of(text), (group_epilogues,))
    whole = ["Sigmoid", "QuantizeLinear", "DequantizeLinear", "Tanh", "QuantizeLinear"]
    assert groups(model) == [["Add", "QuantizeLinear"], ["Sigmoid", "QuantizeLinear"], whole]
