from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.passes import PassContext, name_dims, run_passes
from edgeort.passes.cancel_transposes import cancel_transposes
from edgeort.passes.to_nhwc import to_nhwc
from tests.passes.harness import check, counts, model_of, random_feeds, random_weights, run_ort

PASSES = (name_dims, to_nhwc, cancel_transposes)
WEIGHTS = {
    **random_weights(w=(6, 6, 3, 3), c=(6, 1, 1), full=(1, 6, 7, 8), s=(6,), p=(6, 1, 1), col=(8,), w1=(6, 6, 3)),
    "axis1": np.array([1], np.int64),
    "axes23": np.array([2, 3], np.int64),
    "axis3": np.array([3], np.int64),
    "zero": np.array([0], np.int64),
    "two": np.array([2], np.int64),
    "three": np.array([3], np.int64),
    "pads": np.array([0, 1, 0, 2, 0, 0, 1, 0], np.int64),
    "scales": np.array([1, 1, 2, 3], np.float32),
    "sizes": np.array([1, 6, 9, 5], np.int64),
    "repeats": np.array([1, 2, 1, 3], np.int64),
    "target": np.array([1, 6, 7, 8], np.int64),
    "merge": np.array([0, 6, -1], np.int64),
    "merge0": np.array([0, 0, -1], np.int64),
    "flat": np.array([0, -1], np.int64),
    "four": np.array([0, 6, 1, 1], np.int64),
    "split": np.array([2, 4], np.int64),
    "index": np.array(1, np.int64),
    "indices": np.array([2, 0], np.int64),
    "k": np.array([2], np.int64),
    "low": np.array(0, np.float32),
    "high": np.array(1, np.float32),
}

CONV = "Conv <pads = [1, 1, 1, 1]>"


def conv_graph(body: str, shape: str = "A,B,C,D", kind: str = "float") -> str:
    return f"g (float[N,6,7,8] x) => ({kind}[{shape}] y) {{ a = {CONV} (x, w)  {body} }}"


def build(text: str, opset: int = 17) -> ir.Model:
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return model_of(text, opset=opset, weights={k: v for k, v in WEIGHTS.items() if k in words})


BETWEEN = [
    "b = Relu (a)",
    "b = Clip (a, low, high)",
    "b = Add (a, c)",
    "b = Mul (full, a)",
    "b = Add (a, col)",
    "b = PRelu (a, p)",
    "r = Relu (a) t = Sigmoid (a) b = Mul (r, t)",
    "b = Concat <axis = 1> (a, a) ",
    "h = Shape (a) b = Expand (a, h)",
    "b, b2 = Split <axis = 1> (a, split)",
    "b, b2 = Split <axis = -1> (a)",
    "b = Slice (a, zero, two, axis1)",
    "b = Slice (a, two, three, axis3)",
    "b = Slice (a, zero, two)",
    "b = Pad (a, pads)",
    'b = Pad <mode = "reflect"> (a, pads)',
    'b = Resize <mode = "nearest"> (a, , scales)',
    'b = Resize <mode = "linear"> (a, , scales)',
    'b = Resize <mode = "linear"> (a, , , sizes)',
    "b = Softmax <axis = 1> (a)",
    "b = LogSoftmax <axis = -1> (a)",
    "b = ReduceMean <axes = [2, 3]> (a)",
    "b = ReduceMax <axes = [-3]> (a)",
    "b = ReduceSum (a, axes23)",
    "b = Tile (a, repeats)",
    "b = Expand (a, target)",
    "b = Gather <axis = 1> (a, indices)",
    "b = Where (m, a, full)  ",
    "g1 = GlobalAveragePool (a) q = Squeeze (g1, axes23) u = Unsqueeze (q, axes23) b = Mul (a, u)",
    "g1 = GlobalAveragePool (a) q = Reshape (g1, flat) u = Reshape (q, four) b = Mul (a, u)",
    "b = LpNormalization <axis = 1> (a)",
    "i = Identity (a) b = Dropout (i)",
]


@pytest.mark.parametrize("between", BETWEEN)
def test_nothing_but_the_border_stays_between_two_convolutions(between: str) -> None:
    if "Where" in between:
        between = "m = Greater (a, c) " + between
    tail = "y = GlobalMaxPool (b)"
    model, _ = check(build(conv_graph(f"{between} {tail}")), PASSES, sizes={"N": 1})
    assert counts(model)["Transpose"] == 1, model.graph
    assert counts(model)["Reshape"] <= between.count("Reshape") + 1  # the output's Transpose moves no element


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("g1 = GlobalAveragePool (a) y = Flatten (g1)", "N,6"),
        ("g1 = GlobalAveragePool (a) y = Reshape (g1, flat)", "N,6"),
        ("g1 = GlobalAveragePool (a) y = Squeeze (g1, axes23)", "N,6"),
        ("y = ReduceMean <axes = [2, 3], keepdims = 0> (a)", "N,6"),
        ("r = ReduceMean <axes = [2, 3]> (a) y = Flatten (r)", "N,6"),
        (
            "r = ReduceMax <axes = [3], keepdims = 0> (a) s1 = ReduceMax <axes = [2], keepdims = 0> (r) y = Relu (s1)",
            "N,6",
        ),
        ("y = ReduceMax <axes = [1], keepdims = 0> (a)", "N,7,8"),
        ("t = Transpose <perm = [0, 2, 3, 1]> (a) y = Softmax <axis = -1> (t)", "N,7,8,6"),
        ("f = Reshape (a, merge) t = Transpose <perm = [0, 2, 1]> (f) y = Relu (t)", "N,56,6"),
        ("f = Reshape (a, merge0) t = Transpose <perm = [0, 2, 1]> (f) y = Relu (t)", "N,56,6"),
        ("r = Gather <axis = 1> (a, index) y = Relu (r)", "N,7,8"),
    ],
)
def test_heads_need_no_transpose(body: str, shape: str) -> None:
    model, _ = check(build(conv_graph(body, shape)), PASSES, sizes={"N": 2})
    assert counts(model)["Transpose"] == 1, model.graph


@pytest.mark.parametrize(
    ("body", "shape", "kind", "opset"),
    [
        ("y = ArgMax <axis = 1> (a)", "N,1,7,8", "int64", 17),
        ("y = ArgMin <axis = 1, keepdims = 0> (a)", "N,7,8", "int64", 17),
        ("y, i = TopK <axis = 1> (a, k)", "N,2,7,8", "float", 17),
        ("y = Shape <start = 1, end = 3> (a)", "2", "int64", 17),
        ("h = Shape (a) y = Gather (h, index)", "", "int64", 17),
        ("y = Flatten (a)", "N,336", "float", 17),
        ("y = Reshape (a, flat)", "N,336", "float", 17),
        ("y = Softmax <axis = 1> (a)", "N,6,7,8", "float", 11),
        ('y = Resize <mode = "cubic"> (a, , scales)', "N,6,14,24", "float", 17),
        ("y = Mul (a, a)", "N,6,7,8", "float", 17),
        ("y = MatMul (a, a2)", "N,6,7,7", "float", 17),
        ("y = Slice (a, zero, two, axis1) z = Relu (x)", "N,2,7,8", "float", 17),
        ("y = CumSum (a, axis1)", "N,6,7,8", "float", 17),
        ("b = Identity (x) y = Add (a, b)", "N,6,7,8", "float", 17),
    ],
)
def test_stays_correct(body: str, shape: str, kind: str, opset: int) -> None:
    if "a2" in body:
        body = "a2 = Transpose <perm = [0, 1, 3, 2]> (a) " + body
    check(build(conv_graph(body, shape, kind), opset), PASSES, sizes={"N": 1})


def test_one_dimensional_convolutions() -> None:
    text = """g (float[N,L,6] x) => (float[N,L,6] y) { t = Transpose <perm = [0, 2, 1]> (x)
        a = Conv <pads = [1, 1]> (t, w1)  b = Relu (a)  d = Conv <pads = [1, 1]> (b, w1)
        y = Transpose <perm = [0, 2, 1]> (d) }"""
    model, _ = check(build(text), PASSES, sizes={"L": 9})
    assert "Transpose" not in counts(model)


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("r = Relu (a) y = ReduceMax <axes = [-1], keepdims = 0> (r)", "N,6"),
        ("b = Relu (a) t = Transpose <perm = [0, 2, 1]> (b) y = Softmax <axis = -1> (t)", "N,9,6"),
        ("b = InstanceNormalization (a, s, s) r = Sigmoid (b) y = ReduceMean <axes = [2], keepdims = 0> (r)", "N,6"),
    ],
)
def test_one_dimensional_heads_need_no_transpose(body: str, shape: str) -> None:
    text = f"g (float[N,6,9] x) => (float[{shape}] y) {{ a = Conv <pads = [1, 1]> (x, w1) {body} }}"
    model, _ = check(build(text), PASSES, sizes={"N": 2})
    assert counts(model)["Transpose"] == 1, model.graph


def test_a_model_written_channels_last_loses_its_transposes() -> None:
    text = f"""g (float[N,7,8,6] x) => (float[N,7,8,6] y) {{
        t = Transpose <perm = [0, 3, 1, 2]> (x)  a = {CONV} (t, w)  u = Transpose <perm = [0, 2, 3, 1]> (a)
        r = Add (u, s)  v = Transpose <perm = [0, 3, 1, 2]> (r)  b = {CONV} (v, w)
        z = Transpose <perm = [0, 2, 3, 1]> (b)  y = Add (z, x) }}"""
    model, _ = check(build(text), PASSES)
    assert "Transpose" not in counts(model)


def test_a_skip_connection_costs_nothing() -> None:
    body = f"b = {CONV} (a, w) d = Add (b, a) e = Concat <axis = 1> (d, a) y = Relu (e)"
    model, _ = check(build(conv_graph(body, "N,12,7,8")), PASSES)
    assert counts(model)["Transpose"] == 2  # the input's and the output's


def test_transposes_that_move_nothing_become_reshapes() -> None:
    model, _ = check(build("g (float[N,6,7,8] x) => (float[N,6,1,1] y) { y = GlobalAveragePool (x) }"), PASSES)
    assert counts(model) == {"Transpose": 1, "GlobalAveragePool": 1, "Reshape": 1}


def test_one_channel_of_unknown_size_is_squeezed() -> None:
    body = "c1 = Conv (x, w) d = ReduceMax <axes = [1]> (c1) y = Sigmoid (d)"
    text = f"g (float[N,6,H,W] x) => (float[N,1,P,Q] y) {{ {body} }}"
    model, _ = check(build(text), PASSES, sizes={"H": 7, "W": 6})
    assert counts(model)["Transpose"] == 1
    assert counts(model)["Squeeze"] == counts(model)["Unsqueeze"] == 1


def test_channel_shuffle_stays_correct() -> None:
    text = f"""g (float[N,6,7,8] x) => (float[N,6,7,8] y)
        <int64[5] g1 = {{0, 2, 3, 7, 8}}, int64[4] g2 = {{0, 6, 7, 8}}> {{
        a = {CONV} (x, w)  r = Reshape (a, g1)  t = Transpose <perm = [0, 2, 1, 3, 4]> (r)  u = Reshape (t, g2)
        y = {CONV} (u, w) }}"""
    check(build(text), PASSES)


def test_outputs_that_are_read_inside_too_and_outputs_twice_transposed() -> None:
    text = f"""g (float[N,6,7,8] x) => (float[N,6,7,8] a, float[N,7,8,6] t, float[N,7,8,6] u, float[N,6,7,8] y) {{
        a = {CONV} (x, w)  t = Transpose <perm = [0, 2, 3, 1]> (a)  r = Relu (a)
        u = Transpose <perm = [0, 2, 3, 1]> (a)  y = {CONV} (r, w) }}"""
    check(build(text), PASSES)


def test_transposes_of_inputs_straight_to_outputs() -> None:
    text = """g (float[N,6,7,8] x) => (float[N,6,7,8] y, float[N,7,8,6] t) {
        t = Transpose <perm = [0, 2, 3, 1]> (x)  y = Transpose <perm = [0, 3, 1, 2]> (t) }"""
    check(build(text), PASSES)


def test_subgraphs_read_the_written_layout() -> None:
    text = f"""g (float[N,6,7,8] x, bool cond) => (float[N,6,7,8] y) {{ a = {CONV} (x, w)  b = Relu (a)
        y = If (cond) <then_branch = t () => (float[N,6,7,8] p) {{ p = Softmax <axis = 1> (b) }},
                       else_branch = e () => (float[N,6,7,8] q) {{ q = Abs (b) }}> }}"""
    check(model_of(text, weights={"w": WEIGHTS["w"]}), PASSES)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed: int) -> None:
    """Convolutions, layout-bound and layout-free operators in random order over square-shaped tensors."""
    rng = np.random.default_rng(seed)
    values, lines = ["x"], []
    for i in range(14):
        name, p, q = f"v{i}", rng.choice(values), rng.choice(values[-3:])
        operators = [
            f"{CONV} ({q}, w)",
            f"Relu ({p})",
            f"Sigmoid ({q})",
            f"Add ({p}, {q})",
            f"Mul ({p}, c)",
            f"Add ({p}, full)",
            f"Softmax <axis = {rng.integers(-3, 4)}> ({p})",
            f"CumSum ({p}, axis1)",
            f"Max ({p}, {q})",
        ]
        lines.append(f"{name} = {rng.choice(operators)}")
        if rng.random() < 0.3:
            lines.append(f"{name}t = Transpose <perm = [0, 2, 3, 1]> ({name})")
            lines.append(f"{name}r = {rng.choice(['Relu', 'Tanh', 'Identity'])} ({name}t)")
            lines.append(f"{name}b = Transpose <perm = [0, 3, 1, 2]> ({name}r)")
            name += "b"
        values.append(name)
    outputs = dict.fromkeys([values[-1], str(rng.choice(values[1:]))])
    text = f"g (float[N,6,7,8] x) => ({', '.join(f'float[N,6,7,8] {o}' for o in outputs)}) {{ {' '.join(lines)} }}"
    plain = build(text)
    run_passes(plain, PassContext(), (to_nhwc,))
    model, _ = check(build(text), PASSES)
    assert counts(model)["Transpose"] <= counts(plain)["Transpose"]


def test_io_layout_nhwc_changes_inputs_and_outputs() -> None:
    text = f"""g (float[N,6,7,8] x, float[N,6] v) => (float[N,6,7,8] y, float[N,6] z) {{
        a = {CONV} (x, w)  y = Relu (a)  z = Neg (v) }}"""
    model, before = build(text), build(text)
    run_passes(model, PassContext(io_layout="nhwc", check=True), PASSES)
    assert "Transpose" not in counts(model)
    assert [str(v.shape) for v in (*model.graph.inputs, *model.graph.outputs)] == [
        "[N,7,8,6]",
        "[N,6]",
        "[N,7,8,6]",
        "[N,6]",
    ]
    assert [v.name for v in model.graph.outputs] == ["y", "z"]
    feeds = random_feeds(before, {})
    wanted = run_ort(before, feeds)
    found = run_ort(model, {**feeds, "x": feeds["x"].transpose(0, 2, 3, 1)})
    np.testing.assert_allclose(found[0].transpose(0, 3, 1, 2), wanted[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[1], wanted[1])
