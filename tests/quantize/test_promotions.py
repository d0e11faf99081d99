"""The ways of a layer, and which of them are taken in which order."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.quantize.forms import Form
from edgeort.quantize.layers import Layer
from edgeort.quantize.promotions import OVERHEAD_BYTES, Way, hull, state, steps, ways


def layer(op_type: str) -> Layer:
    node = ir.Node("", op_type, [ir.Value(name="x"), ir.Value(name="w")], name="n")
    return Layer(node, np.zeros((10, 20), np.float32), None, 1, -1)


def test_ways():
    assert [way.to for way in ways(layer("MatMul"), Form.STATIC, 200)] == ["dynamic", "int8 weights", "float"]
    assert [way.to for way in ways(layer("Conv"), Form.STATIC, 200)] == ["int8 weights", "float"]
    assert [way.to for way in ways(layer("MatMul"), Form.DYNAMIC, 200)] == ["int8 weights", "float"]
    assert [way.to for way in ways(layer("Conv"), Form.STATIC, 200, weights_alone=False)] == ["float"]
    (last,) = ways(layer("Conv"), Form.FLOAT, 50)
    assert (last.to, last.added_bytes, last.cost) == ("float", 600, OVERHEAD_BYTES + 650)


def test_the_hull():
    assert hull([(0, 10), (1, 4), (2, 3), (10, 0)]) == [0, 1, 2, 3]
    assert hull([(0, 10), (1, 9), (2, 0)]) == [0, 2], "the first step saves less for its cost than the next"
    assert hull([(0, 10), (1, 11), (2, 12)]) == [0], "nothing saves noise"
    assert hull([(0, 10), (1, 9), (2, 5), (3, 0)]) == [0, 3]


def test_steps_save_less_and_less():
    dynamic, weights, full = (
        Way("dynamic", Form.DYNAMIC, 0, 1000), Way("int8 weights", Form.FLOAT, 0, 1200), Way("float", None, 600, 1800)
    )  # fmt: skip
    found = steps(layer("MatMul"), 1.0, [(dynamic, 0.2), (weights, 0.19), (full, 0.0)])
    assert [step.way.to for step in found] == ["dynamic", "float"]
    assert found[0].rate > found[1].rate


def test_the_state_after_steps():
    taken = [("a", "dynamic"), ("b", "int8 weights"), ("a", "int8 weights"), ("b", "float")]
    assert state(taken[:2]) == (set(), {"a": Form.DYNAMIC, "b": Form.FLOAT})
    assert state(taken) == ({"b"}, {"a": Form.FLOAT})
