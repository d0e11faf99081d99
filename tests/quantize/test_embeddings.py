"""Tables of embeddings become int8 rows."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from edgeort.ort import open_session
from edgeort.quantize.embeddings import quantize_tables
from tests.models import model


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


def test_a_table_of_two_readers_is_stored_once():
    proto = lookup(np.random.default_rng(0).standard_normal((100, 64)).astype(np.float32))
    proto.graph.node.append(helper.make_node("Gather", ["table", "i"], ["z"], name="again"))
    proto.graph.output.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["n", 3, None]))
    made = ir.from_proto(proto)
    assert quantize_tables(made.graph) == 2
    assert sum(v.dtype == ir.DataType.INT8 for v in made.graph.initializers.values()) == 1
