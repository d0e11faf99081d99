from __future__ import annotations

import time

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.passes import PassContext, run_passes
from edgeort.passes.widen_halves import widen_halves
from tests.passes.harness import check, counts, model_of

F16 = ir.DataType.FLOAT16
HALVES = {
    "w": np.linspace(-1, 1, 12, dtype=np.float16).reshape(4, 3),
    "table": np.linspace(-2, 2, 20, dtype=np.float16).reshape(5, 4),
    "axes": np.array([0], np.int64),
    "other": np.float32([1, 2, 3, 4]),
}
TOLERANCE = 2e-3  # what float16 rounds, a few times over


def widened(body: str, inputs: str = "float16[n,4] x", outputs: str = "float16[n,4] y") -> ir.Model:
    text = f"g ({inputs}) => ({outputs}) {{ {body} }}"
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    model = model_of(text, opset=18, weights={name: value for name, value in HALVES.items() if name in words})
    return check(model, (widen_halves,), sizes={"n": 3}, rtol=TOLERANCE)[0]


def types(model: ir.Model, *ops: str) -> set[str]:
    return {str(node.outputs[0].dtype) for node in model.graph if node.op_type in ops}


def test_only_inputs_and_outputs_are_cast() -> None:
    body = "a = MatMul(x, w) b = Relu(a) s = Shape(b) c = Reshape(b, s) y = Softmax(c)"
    model = widened(body, outputs="float16[n,3] y")
    assert counts(model)["Cast"] == 2
    assert types(model, "MatMul", "Relu", "Reshape", "Softmax") == {"FLOAT"}


@pytest.mark.parametrize(
    "body",
    [
        "a = Mul(x, x) y = Sqrt(a) z = Identity(y)",  # an output that is read inside
        "a = Mul(x, x) y = Identity(a) z = Identity(a)",
        "a = Mul(x, x) y = Add(a, x) z = CastLike(a, x)",
        "a = Mul(x, x) f = Cast<to = 1>(a) g = Cast<to = 10>(f) y = Add(g, x) z = Neg(g)",
        "y = Identity(x) z = Transpose<perm = [0, 1]>(x)",
        "r = EyeLike<dtype = 10>(x) y = Add(x, r) z = Sub(x, r)",
        "m = Greater(x, x) o = CastLike(other, x) a = Exp(x) y = Where(m, a, o) z = Mul(o, x)",
    ],
)
def test_stays_correct(body: str) -> None:
    model = widened(body, outputs="float16[n,4] y, float16[n,4] z")
    assert types(model, "Mul", "Add", "Sqrt", "Neg", "Exp", "Sub") <= {"FLOAT"}


def test_a_cast_of_the_model_still_rounds() -> None:
    model = widened("a = Cast<to = 10>(x) b = Mul(a, a) y = Cast<to = 1>(b)", "float[n,4] x", "float[n,4] y")
    casts = [node.attributes["to"].as_int() for node in model.graph if node.op_type == "Cast"]
    assert casts == [10, 1, 1]


def test_a_table_stays_small() -> None:
    model = widened("a = Gather(table, i) y = Relu(a)", "int64[n] i")
    assert types(model, "Gather") == {"FLOAT16"} and types(model, "Relu") == {"FLOAT"}
    assert {value.dtype for value in model.graph.initializers.values()} == {F16}


def test_bodies_read_what_they_read_before() -> None:
    body = """a = Mul(x, x) y = If (c) <then_branch = t () => (float16[n,4] p) { p = Exp(a) },
        else_branch = e () => (float16[n,4] q) { q = Identity(a) }>"""
    model = widened(body, "float16[n,4] x, bool c")
    assert types(model, "Mul") == {"FLOAT"} and types(model, "If") == {"FLOAT16"}


def test_sequences_keep_their_type() -> None:
    body = "a = Mul(x, x) s = SequenceConstruct(a, x) y = ConcatFromSequence<axis = 0>(s)"
    assert types(widened(body, outputs="float16[k,4] y"), "SequenceConstruct", "ConcatFromSequence") == {"FLOAT16"}


def test_nothing_changes_where_a_type_is_unknown() -> None:
    model = model_of("g (float16[n,4] x) => (float16[n,4] y) { y = Relu(x) }", opset=18)
    model.graph[0].outputs[0].type = None
    ctx = PassContext()
    assert widen_halves(model, ctx) == 0 and "not known" in str(ctx.log[0])


def test_bfloat16() -> None:
    model = model_of("g (bfloat16[n] x) => (bfloat16[n] y) { a = Mul(x, x) y = Add(a, x) }", opset=18)
    run_passes(model, PassContext(check=True), (widen_halves,))
    assert types(model, "Mul", "Add") == {"FLOAT"} and model.graph.outputs[0].dtype == ir.DataType.BFLOAT16


def test_long_graphs_take_no_time_to_speak_of() -> None:
    """Bodies are looked for once, not for each value."""
    body = " ".join(f"t{i + 1} = Exp(t{i})" for i in range(4000))
    model = model_of(f"g (float16[n,4] t0) => (float16[n,4] t4000) {{ {body} }}", opset=18)
    for node in model.graph:
        node.outputs[0].type = ir.TensorType(F16)
    begun = time.process_time()
    assert widen_halves(model, PassContext()) == 4000
    assert time.process_time() - begun < 5


def test_a_body_gives_what_the_graph_made() -> None:
    body = """a = Mul(x, x) y = If (c) <then_branch = t () => (float16[n,4] a) { d = Exp(a) },
        else_branch = e () => (float16[n,4] q) { q = Identity(a) }>"""
    model = model_of(f"g (float16[n,4] x, bool c) => (float16[n,4] y) {{ {body} }}", opset=18)
    made, branch = model.graph[0].outputs[0], model.graph[1].attributes["then_branch"].as_graph()
    made.type, branch.outputs[0] = ir.TensorType(F16), made
    assert widen_halves(model, PassContext()) == 1
    assert made.dtype == ir.DataType.FLOAT and branch.outputs[0].dtype == F16
