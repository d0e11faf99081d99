"""Costs of a plan's nodes: multiply-adds and bytes, against numbers worked out by hand."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from edgeort import device_profiles, lowering, model, passes
from edgeort.inspection import inspect
from edgeort.lowering.costs import Cost, costs
from edgeort.sample import path as sample_path


def lowered(text: str, device: str = "raspberrypi4"):
    graph = model.clean(ir.from_proto(onnx.parser.parse_model(text)))
    passes.run_passes(graph, passes.PassContext(profile=device_profiles.load(device)))
    return lowering.lower(graph), graph


def by_op(plan, found: list[Cost]) -> dict[str, Cost]:
    return {node.op: cost for node, cost in zip(plan.nodes, found, strict=True)}


def test_a_product_of_a_free_number_of_rows():
    plan, graph = lowered(
        """<ir_version: 8, opset_import: ["": 17]> g (float[rows, 8] x) => (float[rows, 4] y)
        <float[8, 4] w = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}>
        { y = MatMul(x, w) }"""
    )
    (cost,) = costs(plan, graph, {"x": (3, 8)})
    stored = sum(t.data.nbytes for t in plan.tensors if t.data is not None)
    assert cost == Cost(3 * 8 * 4, 0, 4 * (3 * 8 + 3 * 4) + stored)
    assert stored >= 4 * 8 * 4  # packed, perhaps padded
    assert costs(plan, graph, {"x": (30, 8)})[0].macs == 30 * 8 * 4


def test_expressions_of_free_dimensions_and_unknown_ones():
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[1, 2, h, 8] x) => (float[n, c, a, b] y)
        { p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) y = Relu(p) }"""
    plan, graph = lowered(text)
    found = by_op(plan, costs(plan, graph, {"x": (1, 2, 6, 8)}))
    assert found["MaxPool"] == Cost(0, 0, 4 * 2 * (6 * 8 + 3 * 4))
    assert by_op(plan, costs(plan, graph, {}))["MaxPool"].moved_bytes is None


def test_names_of_dimensions_that_are_no_expressions():
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[rows, 8] x) => (float[n, 8] y)
        { a = Relu(x) z = NonZero(a) f = Cast<to = 1>(z) y = Sigmoid(x) b = Relu(f) w = Sigmoid(b) }"""
    proto = onnx.parser.parse_model(text)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch size/2"
    proto.graph.output.append(onnx.helper.make_tensor_value_info("w", 1, [2, "/z/w dim1"]))
    graph = model.clean(ir.from_proto(proto))
    passes.run_passes(graph, passes.PassContext(profile=device_profiles.load("raspberrypi4")))
    found = costs(lowering.lower(graph), graph, {"x": (3, 8)})
    assert {cost.functions for cost in found} >= {3 * 8, None}


def test_functions_of_programs():
    plan, graph = lowered(
        """<ir_version: 8, opset_import: ["": 17]> g (float[n, 8] x) => (float[n, 8] y)
        { a = Exp(x) b = Sigmoid(a) y = Add(b, x) }"""
    )
    assert by_op(plan, costs(plan, graph, {"x": (3, 8)}))["Elementwise"].functions == 2 * 3 * 8


def test_joints_of_feature_maps_are_in_place():
    plan, graph = lowered(
        """<ir_version: 8, opset_import: ["": 17]>
        g (float[1, 2, 4, 4] x, float[3, 5] v) => (float[1, 4, 4, 4] y, float[3, 10] w)
        { p = MaxPool<kernel_shape = [1, 1]>(x) q = Relu(p) y = Concat<axis = 1>(p, q) w = Concat<axis = 1>(v, v) }"""
    )
    pairs = zip(plan.nodes, costs(plan, graph, {"x": (1, 2, 4, 4), "v": (3, 5)}), strict=True)
    found = [cost for node, cost in pairs if node.op == "Concat"]
    assert sorted(cost.moved_bytes for cost in found) == [0, 4 * (15 + 30)]


def test_a_lookup_reads_of_its_table_what_it_writes():
    plan, graph = lowered(
        """<ir_version: 8, opset_import: ["": 17]> g (float[1000, 8] table, int64[n] ids) => (float[n, 8] y)
        { y = Gather(table, ids) }"""
    )
    found = by_op(plan, costs(plan, graph, {"table": (1000, 8), "ids": (3,)}))
    assert found["Gather"] == Cost(0, 0, 2 * 4 * 3 * 8)


def test_views_move_nothing():
    plan, graph = lowered(
        """<ir_version: 8, opset_import: ["": 17]> g (float[2, 8] x) => (float[4, 4] y)
        <int64[2] s = {4, 4}> { t = Relu(x) y = Reshape(t, s) }"""
    )
    assert by_op(plan, costs(plan, graph, {"x": (2, 8)}))["Reshape"] == Cost(0, 0, 0)


def test_all_multiply_adds_of_a_model_are_on_its_nodes():
    graph = model.clean(model.load(sample_path()))
    total = inspect(graph).total_macs
    passes.run_passes(graph, passes.PassContext(profile=device_profiles.load("host")))
    plan = lowering.lower(graph)
    found = costs(plan, graph, {"image": (1, 1, 8, 8)})
    assert total > 0
    assert sum(cost.macs or 0 for cost in found) == total
    assert sum(cost.macs or 0 for cost in costs(plan, graph, {"image": (5, 1, 8, 8)})) == 5 * total
