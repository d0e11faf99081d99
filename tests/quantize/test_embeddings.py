"""Tables of embeddings become int8 rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from edgeort.ort import open_session
from edgeort.quantize import Budget, Options, quantize
from edgeort.quantize.embeddings import quantize_tables
from tests.models import model
from tests.quantize.models import save


def lookup(table: np.ndarray, **attributes: int) -> onnx.ModelProto:
    nodes = [helper.make_node("Gather", ["table", "i"], ["y"], name="lookup", **attributes)]
    made = model(nodes, [], [("y", ["n", 3, None])], [numpy_helper.from_array(table, "table")])
    made.graph.input.append(helper.make_tensor_value_info("i", onnx.TensorProto.INT64, ["n", 3]))
    return made


def test_rows_have_scales_of_their_own():
    rng = np.random.default_rng(0)
    table = (rng.standard_normal((100, 64)) * np.geomspace(1e-3, 1e3, 100)[:, np.newaxis]).astype(np.float32)
    table[7] = 0
    made = ir.from_proto(lookup(table))
    assert quantize_tables(made.graph) == 1
    proto = ir.to_proto(made)
    onnx.checker.check_model(proto)
    indices = rng.integers(-100, 100, (5, 3))
    indices[0, 0] = 7
    (found,) = open_session(proto.SerializeToString()).run(["y"], {"i": indices})
    wanted = table[indices]
    assert (np.abs(found - wanted) <= np.abs(wanted).max(axis=-1, keepdims=True) / 253).all()


@pytest.mark.parametrize(
    ("table", "attributes", "exclude"),
    [
        (np.ones((8, 8), np.float32), {}, ()),  # small
        (np.ones((100, 64), np.int64), {}, ()),
        (np.ones((100, 64), np.float32), {"axis": 1}, ()),
        (np.ones((100, 64), np.float32), {}, ("lookup",)),
    ],
)
def test_what_is_left_alone(table: np.ndarray, attributes: dict[str, int], exclude: tuple[str, ...]):
    assert quantize_tables(ir.from_proto(lookup(table, **attributes)).graph, exclude) == 0


def test_a_budget_promotes_the_table_that_makes_the_noise(tmp_path: Path):
    """One large number in each row makes the steps of all others coarse."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((100, 64)).astype(np.float32)
    table[:, 0] = 500
    weight, mask = rng.standard_normal((64, 8)).astype(np.float32), np.float32(np.arange(64) > 0)
    nodes = [
        helper.make_node("Gather", ["table", "i"], ["rows"], name="lookup"),
        helper.make_node("Mul", ["rows", "mask"], ["y"]),
        helper.make_node("MatMul", ["x", "w"], ["z"], name="product"),
    ]
    constants = {"table": table, "mask": mask, "w": weight}
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    proto = model(nodes, [("x", [3, 64])], [("y", [3, 64]), ("z", [3, 8])], tensors)
    proto.graph.input.append(helper.make_tensor_value_info("i", onnx.TensorProto.INT64, [3]))
    path, out = save(tmp_path / "m.onnx", proto), tmp_path / "q.onnx"
    data = [{"x": np.float32(rng.standard_normal((3, 64))), "i": rng.integers(0, 100, 3)} for _ in range(8)]
    result = quantize(path, out, data, Options(budget=Budget(sqnr_db=30)))
    assert [(e.layer, e.to) for e in result.ledger if e.promoted] == [("lookup", "float16 weights")]
    assert result.tables == 0 and result.layers == 1 and result.differences[0].sqnr_db >= 30
    assert "the budget needs it" in result.left["lookup"]
    assert any(t.data_type == onnx.TensorProto.FLOAT16 for t in onnx.load(out).graph.initializer)


def test_a_layer_may_read_a_table(tmp_path: Path):
    """Its input is a tensor of eight bits that the table's rows make."""
    rng = np.random.default_rng(0)
    proto = lookup(rng.standard_normal((100, 64)).astype(np.float32))
    proto.graph.initializer.append(numpy_helper.from_array(rng.standard_normal((64, 8)).astype(np.float32), "w"))
    proto.graph.node[0].output[0] = "rows"
    proto.graph.node.append(helper.make_node("MatMul", ["rows", "w"], ["y"], name="product"))
    data = [{"i": rng.integers(0, 100, (1, 3))} for _ in range(8)]
    result = quantize(save(tmp_path / "m.onnx", proto), tmp_path / "q.onnx", data)
    assert (result.tables, result.forms) == (1, {"static": 1}) and result.differences[0].sqnr_db > 35


def test_a_table_that_one_reader_keeps_stays_for_all():
    proto = lookup(np.random.default_rng(0).standard_normal((100, 64)).astype(np.float32))
    proto.graph.node.append(helper.make_node("Gather", ["table", "i"], ["z"], name="again"))
    assert quantize_tables(ir.from_proto(proto).graph, ("again",)) == 0


def test_a_table_of_two_readers_is_stored_once():
    proto = lookup(np.random.default_rng(0).standard_normal((100, 64)).astype(np.float32))
    proto.graph.node.append(helper.make_node("Gather", ["table", "i"], ["z"], name="again"))
    proto.graph.output.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["n", 3, None]))
    made = ir.from_proto(proto)
    assert quantize_tables(made.graph) == 2
    assert sum(v.dtype == ir.DataType.INT8 for v in made.graph.initializers.values()) == 1
