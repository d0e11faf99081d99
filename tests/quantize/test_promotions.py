"""The ways of a layer, and which of them are taken in which order."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.quantize.costs import Slowness
from edgeort.quantize.forms import Form
from edgeort.quantize.layers import Layer
from edgeort.quantize.promotions import OVERHEAD_BYTES, Way, hull, state, steps, ways


def layer(op_type: str, weight: float = 0.0) -> Layer:
    node = ir.Node("", op_type, [ir.Value(name="x"), ir.Value(name="w")], name="n")
    return Layer(node, np.full((10, 20), weight, np.float32), None, 1, -1)


UNKNOWN = Slowness(200, None, Slowness(100, None))


def test_ways():
    plain = ["int8 weights", "16-bit activations", "int16 weights", "float16 weights", "float"]
    assert [way.to for way in ways(layer("MatMul"), Form.STATIC, UNKNOWN)][0] == "dynamic"
    assert sorted(way.to for way in ways(layer("Conv"), Form.STATIC, UNKNOWN)) == sorted(plain)
    above = ["int8 weights", "float16 weights", "float"]
    assert [way.to for way in ways(layer("MatMul"), Form.DYNAMIC, UNKNOWN)] == above
    assert [way.to for way in ways(layer("MatMul"), Form.BLOCKS, UNKNOWN)] == above
    assert [way.added_bytes for way in ways(layer("Gemm"), Form.BLOCKS, UNKNOWN)] == [100, 300, 700]
    half, last = ways(layer("Conv"), Form.FLOAT, Slowness(50, None))
    assert (half.to, half.added_bytes, half.form) == ("float16 weights", 200, Form.HALF)
    assert (last.to, last.added_bytes, last.cost) == ("float", 600, OVERHEAD_BYTES + 650)


def test_weights_that_float16_cannot_hold_do_not_become_float16():
    """They would stay float32, and take as many bytes."""
    assert [way.to for way in ways(layer("Conv", 1e6), Form.FLOAT, Slowness(50, None))] == ["float"]


def test_sixteen_bits_are_a_way_where_they_are_faster_than_float():
    fast, slow = (Slowness(300, 3.0, Slowness(lost, lost / 100)) for lost in (100, 300))
    found = {way.to: (way.added_bytes, way.added_ms) for way in ways(layer("Conv"), Form.STATIC, fast)}
    assert found["int16 weights"] == (200, 1.0) and found["float"] == (600, 3.0)
    plain = ["int8 weights", "float16 weights", "float"]
    assert [way.to for way in ways(layer("Conv"), Form.STATIC, slow)] == plain


def test_the_hull():
    assert hull([(0, 10), (1, 4), (2, 3), (10, 0)]) == [0, 1, 2, 3]
    assert hull([(0, 10), (1, 9), (2, 0)]) == [0, 2], "the first step saves less for its cost than the next"
    assert hull([(0, 10), (1, 11), (2, 12)]) == [0], "nothing saves noise"
    assert hull([(0, 10), (1, 9), (2, 5), (3, 0)]) == [0, 3]


def test_steps_save_less_and_less():
    dynamic, weights, full = (
        Way("dynamic", Form.DYNAMIC, 0, 1000), Way("int8 weights", Form.FLOAT, 0, 1200), Way("float", None, 600, 1800)
    )  # fmt: skip
    found = steps("n", 1.0, [(dynamic, 0.2), (weights, 0.19), (full, 0.0)])
    assert [step.way.to for step in found] == ["dynamic", "float"]
    assert found[0].rate > found[1].rate


def test_the_state_after_steps():
    taken = [("a", "dynamic"), ("b", "int8 weights"), ("a", "int8 weights"), ("b", "float"), ("c", "int16 weights")]
    assert state(taken[:2]) == (set(), {"a": Form.DYNAMIC, "b": Form.FLOAT})
    assert state(taken) == ({"b"}, {"a": Form.FLOAT, "c": Form.FINE})
