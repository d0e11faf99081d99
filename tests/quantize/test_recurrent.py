"""Recurrent weights in int8: what the model then says, its size, its accuracy, and what stays float32."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import InferenceSession, device_profiles
from edgeort.compiling import plan_of
from edgeort.errors import BudgetError, ModelError
from edgeort.model.dynamic_recurrence import is_recurrence
from edgeort.quantize import Budget, Options, compare, quantize
from edgeort.quantize.forms import Form
from edgeort.quantize.promotions import FLOAT_LAYER, WEIGHTS_ONLY
from edgeort.quantize.recurrent import NOT_CONSTANT, quantize_recurrent
from edgeort.quantize.selection import EXCLUDED, SHARED, select
from tests.kernels.support import reference
from tests.models import model as model_of
from tests.quantize.models import Net, save

HIDDEN, SHAPE = 48, (9, 2, 24)
SAME_ROUNDING = 55  # dB, between runtimes that round alike but for the last bits of float32


def sounds(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(4)
    return [{"x": rng.standard_normal(SHAPE).astype(np.float32)} for _ in range(count)]


def stack(op: str = "LSTM", layers: int = 2) -> onnx.ModelProto:
    """Bidirectional operators, one behind the other."""
    rng, net, x, width = np.random.default_rng(2), Net(), "x", 24
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op] * HIDDEN

    def weight(*shape: int) -> str:
        return net.constant((rng.uniform(-1, 1, shape) / np.sqrt(HIDDEN)).astype(np.float32))

    for _ in range(layers):
        y = net.op(
            op,
            x,
            weight(2, gates, width),
            weight(2, gates, HIDDEN),
            weight(2, 2 * gates),
            hidden_size=HIDDEN,
            direction="bidirectional",
            **({"linear_before_reset": 1} if op == "GRU" else {}),
        )
        joined = net.op("Transpose", y, perm=[0, 2, 1, 3])
        x = net.op("Reshape", joined, net.constant(np.array([9, 2, 2 * HIDDEN])))
        width = 2 * HIDDEN
    return net.model(x, SHAPE, [9, 2, 2 * HIDDEN])


def sqnr(got: np.ndarray, want: np.ndarray) -> float:
    """In dB."""
    noise = ((got.astype(np.float64) - want) ** 2).sum()
    return float(10 * np.log10((want.astype(np.float64) ** 2).sum() / noise)) if noise else np.inf


def branches(op: str) -> onnx.ModelProto:
    """x and which -> y: one of two LSTMs, or GRUs, whose constants are those of their branches."""
    rng, bodies, rows = np.random.default_rng(3), {}, {"LSTM": 4, "GRU": 3}[op] * HIDDEN
    more = {"linear_before_reset": 1} if op == "GRU" else {}
    for name in ("then", "else"):
        shapes = {"w": (1, rows, 24), "r": (1, rows, HIDDEN), "b": (1, 2 * rows)}
        constants = [
            numpy_helper.from_array((rng.uniform(-1, 1, shape) / np.sqrt(HIDDEN)).astype(np.float32), f"{name}_{what}")
            for what, shape in shapes.items()
        ]
        inputs = ["x", *(tensor.name for tensor in constants)]
        cell = helper.make_node(op, inputs, [f"{name}_y"], name=f"{name}_cell", hidden_size=HIDDEN, **more)
        y = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, [9, 1, 2, HIDDEN])
        bodies[f"{name}_branch"] = helper.make_graph([cell], name, [], [y], constants)
    node = helper.make_node("If", ["which"], ["y"], name="either", **bodies)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)
    which = helper.make_tensor_value_info("which", TensorProto.BOOL, ())
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [9, 1, 2, HIDDEN])
    graph = helper.make_graph([node], "branches", [x, which], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("op", ("GRU", "LSTM", "RNN"))
def test_a_model_of_nothing_else(op: str, tmp_path: Path) -> None:
    """A quarter of its size, plain ONNX, close to the float model in ONNX Runtime; without samples it is the same."""
    path, out = save(tmp_path / "m.onnx", stack(op)), tmp_path / "q.onnx"
    result = quantize(path, out, sounds(4))
    proto = onnx.load(out)
    onnx.checker.check_model(proto, full_check=True)
    assert Counter(node.op_type for node in proto.graph.node)["DequantizeLinear"] == 4
    integers = [numpy_helper.to_array(t) for t in proto.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert len(integers) == 4 and min(array.min() for array in integers) >= -127
    assert (result.layers, result.recurrent, result.left) == (0, 2, {})
    assert result.output_bytes < 0.31 * result.model_bytes
    (found,) = compare(path.read_bytes(), out.read_bytes(), sounds(4))
    assert 35 < found.sqnr_db < 70
    quantize(path, tmp_path / "same.onnx", options=Options(activations=Form.FLOAT))
    assert (tmp_path / "same.onnx").read_bytes() == out.read_bytes()


def test_excluded_nodes_and_budgets(tmp_path: Path) -> None:
    path, out = save(tmp_path / "m.onnx", stack()), tmp_path / "q.onnx"
    result = quantize(path, out, sounds(2), Options(exclude=("n0",)))
    assert result.recurrent == 1 and list(result.left) == ["n0"]
    with pytest.raises(ModelError, match="there is no layer to quantise"):
        quantize(path, out, sounds(2), Options(exclude=("n0", "n3")))
    with pytest.raises(BudgetError, match=r"n3 \(\d+\.\d dB alone"):
        quantize(path, out, sounds(2), Options(budget=Budget(sqnr_db=90.0)))


def test_a_budget_makes_them_float16_one_by_one(tmp_path: Path) -> None:
    path, out = save(tmp_path / "m.onnx", stack()), tmp_path / "q.onnx"
    free = quantize(path, out, sounds(2))
    for more, halves in ((2.0, 1), (12.0, 2)):
        result = quantize(path, out, sounds(2), Options(budget=Budget(sqnr_db=free.differences[0].sqnr_db + more)))
        promoted = [entry for entry in result.ledger if entry.promoted]
        assert [entry.to for entry in promoted] == ["float16 weights"] * halves and result.recurrent == 2 - halves
        types = Counter(t.data_type for t in onnx.load(out).graph.initializer if len(t.dims) == 3)
        assert types[onnx.TensorProto.FLOAT16] == 2 * halves and types[onnx.TensorProto.INT8] == 4 - 2 * halves
        assert set(result.left) == {entry.layer for entry in promoted}
        assert result.output_bytes < 0.56 * result.model_bytes


def test_nodes_that_round_their_state(tmp_path: Path) -> None:
    """ONNX Runtime's operator, which this runtime rounds as well."""
    path, out = save(tmp_path / "m.onnx", stack()), tmp_path / "q.onnx"
    result = quantize(path, out, sounds(4), Options(activations=Form.DYNAMIC))
    proto = onnx.load(out)
    assert Counter(node.op_type for node in proto.graph.node)["DynamicQuantizeLSTM"] == 2
    assert (result.recurrent, result.recurrent_dynamic) == (2, 2)
    assert result.output_bytes < 0.31 * result.model_bytes
    (found,) = compare(path.read_bytes(), out.read_bytes(), sounds(4))
    assert 35 < found.sqnr_db < 48
    x = sounds(1)[0]
    assert sqnr(InferenceSession(out).run(None, x)[0], reference(proto, [x["x"]])[0]) > SAME_ROUNDING


@pytest.mark.parametrize("op", ("GRU", "RNN"))
def test_functions_of_what_has_no_operator(op: str, tmp_path: Path) -> None:
    """ONNX Runtime runs their bodies, edgeort the same on integers; what they do not say has int8 weights alone."""
    path, out = save(tmp_path / "m.onnx", stack(op)), tmp_path / "q.onnx"
    result = quantize(path, out, sounds(4), Options(activations=Form.DYNAMIC))
    assert (result.recurrent, result.recurrent_dynamic) == (2, 2)
    assert result.output_bytes < 0.36 * result.model_bytes
    proto = onnx.load(out)
    assert {f.name for f in proto.functions} == {f"DynamicQuant{op}", f"DynamicQuant{op}Backwards"}
    (found,) = compare(path.read_bytes(), out.read_bytes(), sounds(4))
    assert 30 < found.sqnr_db < 50
    assert {node.op for node in plan_of(out, device_profiles.load("host"))[0].nodes} >= {f"DynamicQ{op}"}
    x = sounds(1)[0]
    assert sqnr(InferenceSession(out).run(None, x)[0], reference(proto, [x["x"]])[0]) > SAME_ROUNDING
    quantize(path, out, sounds(4), Options(activations=Form.DYNAMIC, inline=True))
    assert not onnx.load(out).functions
    made = ir.from_proto(stack(op))
    for node in made.graph:
        if node.op_type == op:
            node.attributes.add(ir.AttrFloat32("clip", 3.0))
    assert set(quantize_recurrent(made, wanted={"": Form.DYNAMIC}).values()) == {Form.FLOAT}


def test_another_function_of_that_name_is_what_its_body_says(tmp_path: Path) -> None:
    made = ir.from_proto(stack("RNN", layers=1))
    quantize_recurrent(made, wanted={"": Form.DYNAMIC})
    assert all(map(is_recurrence, made.functions.values()))
    for function in made.functions.values():
        scan = next(node for node in function if node.op_type == "Scan")
        next(node for node in scan.attributes["body"].as_graph() if node.op_type == "Tanh").op_type = "Sigmoid"
    assert not any(map(is_recurrence, made.functions.values()))
    ir.save(made, tmp_path / "m.onnx")
    x, proto = sounds(1)[0], onnx.load(tmp_path / "m.onnx")
    assert sqnr(InferenceSession(tmp_path / "m.onnx").run(None, x)[0], reference(proto, [x["x"]])[0]) > SAME_ROUNDING


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_functions_that_are_given_a_state(direction: str, tmp_path: Path) -> None:
    """And free sizes, no bias, and a last state that is read."""
    rng, count = np.random.default_rng(5), 1 + (direction == "bidirectional")
    weights = {"w": (count, 3 * 9, 7), "r": (count, 3 * 9, 9)}
    constants = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32) / 3, n) for n, s in weights.items()]
    names = ["x", "w", "r", "", "", "h"]
    node = helper.make_node(
        "GRU", names, ["y", "y_h"], name="n", hidden_size=9, direction=direction, linear_before_reset=1
    )
    ends = {"x": ["T", "N", 7], "h": [count, "N", 9], "y": ["T", count, "N", 9], "y_h": [count, "N", 9]}
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends.items()]
    graph = helper.make_graph([node], "g", infos[:2], infos[2:], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path, out = save(tmp_path / "m.onnx", made), tmp_path / "q.onnx"
    feed = {"x": rng.normal(size=(6, 2, 7)).astype(np.float32), "h": rng.normal(size=(count, 2, 9)).astype(np.float32)}
    assert quantize(path, out, [feed], Options(activations=Form.DYNAMIC)).recurrent_dynamic == 1
    ours = InferenceSession(out).run(None, feed)
    rounded, real = (reference(onnx.load(made), list(feed.values())) for made in (out, path))
    for got, want, exact in zip(ours, rounded, real, strict=True):
        assert got.shape == want.shape and sqnr(got, want) > SAME_ROUNDING and sqnr(got, exact) > 30


def test_a_budget_promotes_them(tmp_path: Path) -> None:
    """From integers to int8 weights, on to float16 ones, and to float32."""
    path, out = save(tmp_path / "m.onnx", stack()), tmp_path / "q.onnx"
    options = Options(activations=Form.DYNAMIC, budget=Budget(sqnr_db=47.0))
    result = quantize(path, out, sounds(4), options)
    promoted = [(e.layer, e.to) for e in result.ledger if e.promoted]
    steps = (WEIGHTS_ONLY, str(Form.HALF), FLOAT_LAYER)
    assert promoted and set(promoted) < {(name, to) for name in ("n0", "n3") for to in steps}
    assert WEIGHTS_ONLY in {entry.to for entry in result.ledger}
    assert min(d.sqnr_db for d in result.differences) >= 47


@pytest.mark.parametrize(("op", "called"), [("LSTM", "DynamicQuantizeLSTM"), ("GRU", "DynamicQuantGRU")])
def test_nodes_of_bodies(op: str, called: str, tmp_path: Path) -> None:
    """Both branches of an If hold one: each is quantised, named, and excluded by its name."""
    path, out = save(tmp_path / "m.onnx", branches(op)), tmp_path / "q.onnx"
    samples = [{**sound, "which": np.array(i % 2 == 0)} for i, sound in enumerate(sounds(4))]
    for form, kind, least in ((Form.FLOAT, "DequantizeLinear", 40), (Form.DYNAMIC, called, 33)):
        result = quantize(path, out, samples, Options(activations=form))
        assert result.recurrent == 2 and result.output_bytes < 0.4 * result.model_bytes
        proto = onnx.load(out)
        bodies = [a.g for node in proto.graph.node if node.op_type == "If" for a in node.attribute]
        assert all(any(node.op_type == kind for node in body.node) for body in bodies), kind
        assert min(d.sqnr_db for d in compare(path.read_bytes(), out.read_bytes(), samples)) > least
        session = InferenceSession(out)
        for sample in samples[:2]:
            assert sqnr(session.run(None, sample)[0], reference(proto, list(sample.values()))[0]) > SAME_ROUNDING
    result = quantize(path, out, samples, Options(exclude=("then_cell",)))
    assert result.recurrent == 1 and result.left == {"then_cell": EXCLUDED}
    names = {e.layer for e in quantize(path, out, samples, Options(budget=Budget(sqnr_db=50.0))).ledger}
    assert names == {"then_cell", "else_cell"}


def twins() -> onnx.ModelProto:
    """Two LSTMs, one behind the other, of the same weights."""
    net = Net()
    w, r = net.weight(1, 4 * 24, 24), net.weight(1, 4 * 24, 24)
    first = net.op("Squeeze", net.op("LSTM", "x", w, r, hidden_size=24), net.constant(np.array([1])))
    return net.model(net.op("LSTM", first, w, r, hidden_size=24), SHAPE, [9, 1, 2, 24])


def test_weights_of_two_nodes_are_stored_once() -> None:
    made = ir.from_proto(twins())
    assert len(quantize_recurrent(made)) == 2
    assert sum(node.op_type == "DequantizeLinear" for node in made.graph) == 2


@pytest.mark.parametrize("form", [Form.FLOAT, Form.DYNAMIC])
def test_nodes_that_share_weights_are_promoted_together(form: Form, tmp_path: Path) -> None:
    """And excluded: else the file would hold their weights twice, and no budget would reach the second."""
    path, out = save(tmp_path / "m.onnx", twins()), tmp_path / "q.onnx"
    options = Options(activations=form, budget=Budget(sqnr_db=65.0))
    result = quantize(path, out, sounds(2), options)
    assert result.recurrent == 0 and {e.layer for e in result.ledger} == {"n0"}
    types = Counter(t.data_type for t in onnx.load(out).graph.initializer if len(t.dims) == 3)
    assert types == {onnx.TensorProto.FLOAT16: 2}
    selection = select(ir.from_proto(twins()).graph, ("n2",))
    assert selection.left == {"n0": SHARED, "n2": EXCLUDED}


def test_outputs_of_unknown_rank(tmp_path: Path) -> None:
    """The checker of the ONNX project wants a shape, and runtimes do not."""
    proto = twins()
    proto.graph.node.append(helper.make_node("Reshape", [proto.graph.output[0].name, "shape"], ["z"]))
    proto.graph.input.append(helper.make_tensor_value_info("shape", TensorProto.INT64, ["rank"]))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    path, out = save(tmp_path / "m.onnx", proto), tmp_path / "q.onnx"
    samples = [{**sound, "shape": np.array([-1, 2])} for sound in sounds(2)]
    assert quantize(path, out, samples, Options(activations=Form.FLOAT)).recurrent == 2
    assert min(d.sqnr_db for d in compare(path.read_bytes(), out.read_bytes(), samples)) > 40


def test_computed_weights_stay() -> None:
    nodes = [onnx.helper.make_node("LSTM", ["x", "w", "r"], ["y"], name="n", hidden_size=4)]
    shapes = [("x", [3, 1, 2]), ("w", [1, 16, 2]), ("r", [1, 16, 4])]
    made = ir.from_proto(model_of(nodes, shapes, [("y", [3, 1, 1, 4])], [], 17))
    assert not quantize_recurrent(made)
    assert select(made.graph).left == {"n": NOT_CONSTANT}


def test_weights_that_are_not_finite_stay() -> None:
    """No integer says NaN."""
    net, r = Net(), np.zeros((1, 16, 4), np.float32)
    r[0, 3, 2] = np.nan
    y = net.op("LSTM", "x", net.weight(1, 16, 4), net.constant(r), hidden_size=4)
    made = ir.from_proto(net.model(y, [3, 1, 4], [3, 1, 1, 4]))
    assert not quantize_recurrent(made) and list(select(made.graph).left.values()) == [NOT_CONSTANT]
