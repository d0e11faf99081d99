"""A graph run part by part gives what it gives as a whole, runs each node once, and keeps only what is needed."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from edgeort.ort import open_session
from edgeort.quantize.calibration import with_outputs
from edgeort.quantize.segments import Prefix, between, model_of
from edgeort.quantize.store import Store
from tests.quantize.models import mobile, samples


def test_parts_give_what_the_whole_gives():
    proto = mobile()
    names = [node.output[0] for node in proto.graph.node]
    session = open_session(with_outputs(proto.SerializeToString(), names), optimised=False)
    graph = ir.from_proto(proto).graph
    values = {str(value.name): value for node in graph for value in node.outputs}
    with Store() as store:
        for index, sample in enumerate(samples(3)):
            store.put("x", index, sample["x"])
        store.samples = 3
        prefix = Prefix(graph, 17, store)
        for name in names[::2]:
            prefix.advance(values[name])
            for index, sample in enumerate(samples(3)):
                wanted = session.run([name], sample)[0]
                np.testing.assert_allclose(store.get(name, index), wanted, rtol=1e-4, atol=1e-5)
        assert names[0] not in store, "nothing reads it any more"
        assert "x" in store


def test_constants_that_were_attributes_of_nodes_have_the_names_of_their_values():
    proto = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 18]> g (float[2,3] x) => (float[2,1] y)
        { axes = Constant<value = int64[1] {1}>()  y = ReduceMean(x, axes) }""")
    model = ir.from_proto(proto)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    (node,) = model.graph
    session = open_session(model_of([node], model.graph.inputs, node.outputs, 18))
    np.testing.assert_array_equal(session.run(None, {"x": np.ones((2, 3), np.float32)})[0], [[1], [1]])


def test_nodes_between():
    graph = ir.from_proto(mobile()).graph
    stem, clip, wide = (graph[index] for index in range(3))
    assert between(graph.inputs, wide.outputs[0]) == [stem, clip, wide]
    assert between([clip.outputs[0]], wide.outputs[0]) == [wide]
    assert between([wide.outputs[0]], wide.outputs[0]) == []


def test_an_evaluation_moves_nothing():
    graph = ir.from_proto(mobile()).graph
    clip = graph[1].outputs[0]
    with Store() as store:
        store.put("x", 0, samples(1)[0]["x"])
        store.samples = 1
        (low,) = Prefix(graph, 17, store).evaluator(clip)(lambda arrays: float(arrays[0].min()))
        assert low == 0.0
        assert clip.name not in store


@pytest.mark.parametrize("in_memory", [0, 30, 1000])  # bytes: none of the arrays, some, all
def test_the_store_holds_any_shape(in_memory: int):
    arrays = [np.zeros((0, 3), np.float32), np.array(5, np.int64), np.arange(6, dtype=np.uint8).reshape(2, 3)]
    with Store(in_memory) as store:
        for index, array in enumerate(arrays):
            store.put("a", index, array)
        for index, array in enumerate(arrays):
            found = store.get("a", index)
            assert (found.shape, found.dtype) == (array.shape, array.dtype)
            assert (found == array).all()
        store.drop("a")
        assert "a" not in store


def test_the_store_copies_and_gives_room_back():
    array = np.arange(8, dtype=np.uint8)
    with Store(in_memory=8) as store:
        for name in ("a", "b"):
            store.put(name, 0, array)
            store.drop(name)
        store.put("c", 0, array)
        array[:] = 0
        assert store.get("c", 0).tolist() == list(range(8))
        assert not store.get("c", 0).flags.writeable  # in memory, whatever went before
