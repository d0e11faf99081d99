"""Recurrent weights in int8: what the model then says, its size, its accuracy, and what stays float32."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgeort.errors import BudgetError, ModelError
from edgeort.quantize import Budget, Options, compare, quantize
from edgeort.quantize.forms import Form
from edgeort.quantize.recurrent import NOT_CONSTANT, quantize_recurrent
from edgeort.quantize.selection import select
from tests.models import model as model_of
from tests.quantize.models import Net, save

HIDDEN, SHAPE = 48, (9, 2, 24)


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
        )
        joined = net.op("Transpose", y, perm=[0, 2, 1, 3])
        x = net.op("Reshape", joined, net.constant(np.array([9, 2, 2 * HIDDEN])))
        width = 2 * HIDDEN
    return net.model(x, SHAPE, [9, 2, 2 * HIDDEN])


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


def test_weights_of_two_nodes_are_stored_once() -> None:
    net = Net()
    w, r = net.weight(1, 32, 8), net.weight(1, 32, 8)
    first = net.op("Squeeze", net.op("LSTM", "x", w, r, hidden_size=8), net.constant(np.array([1])))
    made = ir.from_proto(net.model(net.op("LSTM", first, w, r, hidden_size=8), [5, 1, 8], [5, 1, 1, 8]))
    assert quantize_recurrent(made.graph) == 2
    assert sum(node.op_type == "DequantizeLinear" for node in made.graph) == 2


def test_computed_weights_stay() -> None:
    nodes = [onnx.helper.make_node("LSTM", ["x", "w", "r"], ["y"], name="n", hidden_size=4)]
    shapes = [("x", [3, 1, 2]), ("w", [1, 16, 2]), ("r", [1, 16, 4])]
    graph = ir.from_proto(model_of(nodes, shapes, [("y", [3, 1, 1, 4])], [], 17)).graph
    assert quantize_recurrent(graph) == 0
    assert select(graph).left == {"n": NOT_CONSTANT}


def test_weights_that_are_not_finite_stay() -> None:
    """No integer says NaN."""
    net, r = Net(), np.zeros((1, 16, 4), np.float32)
    r[0, 3, 2] = np.nan
    y = net.op("LSTM", "x", net.weight(1, 16, 4), net.constant(r), hidden_size=4)
    made = ir.from_proto(net.model(y, [3, 1, 4], [3, 1, 1, 4]))
    assert quantize_recurrent(made.graph) == 0 and list(select(made.graph).left.values()) == [NOT_CONSTANT]
