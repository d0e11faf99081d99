"""The passes on QuantizeLinear and DequantizeLinear: what moves, what goes away, what stays."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.model import infer_shapes
from edgeort.passes import Pass, PassContext, run_passes
from edgeort.passes.average_integers import average_integers
from edgeort.passes.drop_clips import drop_clips
from edgeort.passes.fold_dequantized import fold_dequantized
from edgeort.passes.move_integers import move_integers
from edgeort.passes.spell_out_quantisation import spell_out_quantisation
from edgeort.passes.split_qlinear import split_qlinear
from tests.passes.harness import counts, model_of, run

HEAD = """g (float[2,4,6,6] x) => ({types}) <float s = {{0.0625}}, float t = {{0.03}}, uint8 z = {{120}},
  uint8 zero = {{0}},
  int64[2] flat = {{2, 144}}, int64[8] pads = {{0, 0, 1, 1, 0, 0, 1, 1}}, float half = {{0.5}}, float odd = {{0.3}},
  float[4] scales = {{1.0, 1.0, 2.0, 2.0}}, int64[1] i = {{2}}, float six = {{6.0}}, float none = {{0.0}},
  float sixth = {{0.0235294}}, int64[2] spatial = {{2, -1}}> {{ {nodes} }}"""
QDQ = "q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) "


def graph(nodes: str, types: str = "float[A,B,C,D] y", opset: int = 17) -> ir.Model:
    return model_of(HEAD.format(types=types, nodes=nodes), opset=opset)


def reads(model: ir.Model, op_type: str) -> set[str]:
    """The types of what the operators of that name read first."""
    return {node.inputs[0].dtype.name for node in model.graph if node.op_type == op_type}


@pytest.mark.parametrize(
    ("node", "types"),
    [
        ("Reshape (d, flat)", "float[A,B] m"),
        ("Flatten (d)", "float[A,B] m"),
        ("Transpose <perm = [0, 2, 3, 1]> (d)", "float[A,B,C,D] m"),
        ("MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (d)", "float[A,B,C,D] m"),
        ("DepthToSpace <blocksize = 2> (d)", "float[A,B,C,D] m"),
        ('Resize <mode = "nearest"> (d, , scales)', "float[A,B,C,D] m"),
        ("Gather <axis = 1> (d, i)", "float[A,B,C,D] m"),
        ("Pad (d, pads)", "float[A,B,C,D] m"),
        ("Pad (d, pads, half)", "float[A,B,C,D] m"),
        ('Pad <mode = "reflect"> (d, pads)', "float[A,B,C,D] m"),
        ("Concat <axis = 1> (d, d)", "float[A,B,C,D] m"),
    ],
)
def test_movement_goes_before_what_dequantises(node: str, types: str) -> None:
    model, count = run(graph(f"{QDQ} m = {node}", types), move_integers)
    assert count == 1
    assert reads(model, node.split()[0]) == {"UINT8"}


@pytest.mark.parametrize(
    "node",
    [
        "Pad (d, pads, odd)",
        'Resize <mode = "linear"> (d, , scales)',
        "AveragePool <kernel_shape = [3, 3]> (d)",
        "Concat <axis = 1> (d, x)",
        "Concat <axis = 1> (d, e)",
    ],
)
def test_movement_that_is_none_stays(node: str) -> None:
    other = "q2 = QuantizeLinear (x, t, z) e = DequantizeLinear (q2, t, z)" if "e)" in node else ""
    model, count = run(graph(f"{QDQ} {other} y = {node}"), move_integers)
    assert count == 0
    assert reads(model, node.split()[0]) == {"FLOAT"}


@pytest.mark.parametrize(
    "node", ["Reshape (r, flat)", "MaxPool <kernel_shape = [2, 2]> (r)", "Pad (r, pads)", "Pad (r, pads, odd)"]
)
def test_quantising_goes_before_movement(node: str) -> None:
    rank = "float[A,B] y" if "flat" in node else "float[A,B,C,D] y"
    text = f"r = Sigmoid (x) m = {node} q = QuantizeLinear (m, s, z) y = DequantizeLinear (q, s, z)"
    model, count = run(graph(text, rank), move_integers)
    assert count == 1
    assert reads(model, node.split()[0]) == {"UINT8"}
    model, count = run(graph(text + " e = Exp (m)", f"{rank}, {rank.replace('y', 'e')}"), move_integers)
    assert count == 0  # what it moves is read as it is, too


def test_each_part_of_a_concat_is_quantised() -> None:
    """One part needs nothing then, and one another scale."""
    text = f"""{QDQ} e = Sigmoid (x) q2 = QuantizeLinear (x, t, z) f = DequantizeLinear (q2, t, z)
      c = Concat <axis = 1> (d, e, f) cq = QuantizeLinear (c, s, z) y = DequantizeLinear (cq, s, z)"""
    model, count = run(graph(text), move_integers)
    assert count == 2
    assert counts(model)["QuantizeLinear"] == 4 and reads(model, "Concat") == {"UINT8"}


def test_chains_move_through_and_equal_pairs_vanish() -> None:
    text = f"""{QDQ} m = MaxPool <kernel_shape = [2, 2]> (d) q2 = QuantizeLinear (m, s, z)
      d2 = DequantizeLinear (q2, s, z) f = Flatten (d2) q3 = QuantizeLinear (f, s, z) y = DequantizeLinear (q3, s, z)"""
    model, _ = run(graph(text, "float[A,B] y"), move_integers)
    assert counts(model) == {"QuantizeLinear": 1, "MaxPool": 1, "Flatten": 1, "DequantizeLinear": 1}


def test_max_pool_has_no_integers_before_opset_12() -> None:
    model, count = run(graph(f"{QDQ} y = MaxPool <kernel_shape = [2, 2]> (d)", opset=11), move_integers)
    assert count == 0


@pytest.mark.parametrize(
    ("nodes", "dropped"),
    [
        ("r = Relu (x) q = QuantizeLinear (r, s, zero) y = DequantizeLinear (q, s, zero)", 1),
        ("r = Relu (x) q = QuantizeLinear (r, s, z) y = DequantizeLinear (q, s, z)", 0),
        ("r = Clip (x, none, six) q = QuantizeLinear (r, sixth, zero) y = DequantizeLinear (q, sixth, zero)", 1),
        ("r = Clip (x, none, six) q = QuantizeLinear (r, s, zero) y = DequantizeLinear (q, s, zero)", 0),
        ("q = QuantizeLinear (x, s, zero) d = DequantizeLinear (q, s, zero) y = Relu (d)", 1),
        ("q = QuantizeLinear (x, sixth, zero) d = DequantizeLinear (q, sixth, zero) y = Clip (d, none, six)", 1),
        ("q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) y = Relu (d)", 0),
    ],
)
def test_clips_that_the_range_implies(nodes: str, dropped: int) -> None:
    _, count = run(graph(nodes), drop_clips)
    assert count == dropped


def test_a_clip_that_something_else_reads_stays() -> None:
    nodes = "r = Relu (x) q = QuantizeLinear (r, s, zero) y = DequantizeLinear (q, s, zero) e = Exp (r)"
    assert run(graph(nodes, "float[A,B,C,D] y, float[A,B,C,D] e"), drop_clips)[1] == 0


def test_constants_that_are_dequantised() -> None:
    """For readers in float32 only, and not for weights that are stored as they are, or a Gather with one scale."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.integers(-127, 128, (5, 4, 3, 3)).astype(np.int8), "ws": rng.random(5).astype(np.float32) / 99}
    text = HEAD.format(
        types="float[A,B,C,D] y, float[A,B,C,D] e, float[A,B,C,D] f, float[K,L,M,N] h",
        nodes=f"""{QDQ} dw = DequantizeLinear <axis = 0> (w, ws) y = Conv (d, dw) e = Conv (x, dw)
          dv = DequantizeLinear (w, s) h = Gather (dv, i) f = ConvTranspose (e, dw)""",
    )
    model, count = run(model_of(text, weights=weights), fold_dequantized)
    assert count == 1
    assert counts(model)["DequantizeLinear"] == 3
    read = {
        node.outputs[0].name: node.inputs[1].const_value is not None for node in model.graph if "Conv" in node.op_type
    }
    assert read == {"y": False, "e": False, "f": True}


def test_depthwise_weights_are_dequantised() -> None:
    weights = {"w": np.ones((4, 1, 3, 3), np.int8), "ws": np.ones(4, np.float32)}
    nodes = "dw = DequantizeLinear <axis = 0> (w, ws) y = Conv <group = 4> (x, dw)"
    model = model_of(HEAD.format(types="float[A,B,C,D] y", nodes=nodes), weights=weights)
    assert run(model, fold_dequantized)[1] == 1


_LSTM = "LSTM <hidden_size = 2> (x, dw, {})"


@pytest.mark.parametrize(
    ("nodes", "folded"),
    [
        (f"y = {_LSTM.format('dr')}", 0),
        (f"y = {_LSTM.format('computed')}", 1),
        (
            f"""y = If (c) <then_branch = t () => (float[A,B,C,D] a) {{ a = {_LSTM.format("dr")} }},
              else_branch = e () => (float[A,B,C,D] b) {{ b = {_LSTM.format("computed")} }}>""",
            3,
        ),
    ],
)
def test_recurrent_weights_stay_where_they_are_stored(nodes: str, folded: int) -> None:
    """Not where one of the two is computed, nor in a body: there each run would dequantise them."""
    text = f"""g (float[3,1,4] x, bool c, float[1,8,2] computed) => (float[A,B,C,D] y)
      <float s = {{0.0625}}> {{ dw = DequantizeLinear (w, s) dr = DequantizeLinear (q, s) {nodes} }}"""
    rng = np.random.default_rng(0)
    weights = {name: rng.integers(-9, 9, (1, 8, k)).astype(np.int8) for name, k in (("w", 4), ("q", 2))}
    assert run(model_of(text, weights=weights), fold_dequantized)[1] == folded


@pytest.mark.parametrize("keepdims", [0, 1])
def test_means_of_integers_are_pools(keepdims: int) -> None:
    types = "float[A,B,C,D] y" if keepdims else "float[A,B] y"
    text = f"{QDQ} y = ReduceMean <keepdims = {keepdims}> (d, spatial)"
    model, count = run(graph(text, types, opset=18), average_integers)
    assert count == 1 and counts(model)["GlobalAveragePool"] == 1
    assert run(graph(text.replace("(d,", "(x,"), types, opset=18), average_integers)[1] == 0


@pytest.mark.parametrize(("scales", "opset", "split"), [(1, 10, 1), (5, 10, 0), (5, 13, 1)])
def test_qlinear_conv_is_a_conv_between_conversions(scales: int, opset: int, split: int) -> None:
    """Before opset 13 with one scale only."""
    rng = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {
        "w": rng.integers(-3, 4, (5, 4, 3, 3)).astype(np.int8),
        "sw": np.full(scales, 0.25, np.float32),
        "zw": np.zeros(scales, np.int8),
        "b": rng.integers(-9, 9, 5).astype(np.int32),
    }
    text = """g (uint8[1,4,6,6] x) => (uint8[A,B,C,D] y) <float s = {0.5}, uint8 z = {3}, float t = {0.25}> {
      y = QLinearConv <pads = [1, 1, 1, 1]> (x, s, z, w, sw, zw, t, z, b) }"""
    model, count = run(model_of(text, opset=opset, weights=weights), split_qlinear)
    assert count == split and ("Conv" in counts(model)) == bool(split)
    assert "Mul" not in counts(model)  # the scale of the bias is a constant: int8 wants the bias to be one


@pytest.mark.parametrize(
    ("nodes", "step"),
    [
        ("m = Transpose (x) q = QuantizeLinear (m, s, z) y = DequantizeLinear (q, s, z)", move_integers),
        ("q = QuantizeLinear (x, s, wide) y = DequantizeLinear (q, s, wide)", spell_out_quantisation),
    ],
)
def test_types_of_the_model_behind_a_clone_stay(nodes: str, step: Pass):
    """Clones share the objects that say the types of values, so that a pass must not change those in place."""
    wide = "wide = Constant <value = uint16 {7}> () " if "wide" in nodes else ""
    model = infer_shapes(graph(wide + nodes, opset=21))
    before = {v.name: v.dtype for node in model.graph for v in node.outputs}
    ctx = PassContext()
    run_passes(model.clone(), ctx, (step,))
    assert ctx.counts[step.__name__]
    assert {v.name: v.dtype for node in model.graph for v in node.outputs} == before
