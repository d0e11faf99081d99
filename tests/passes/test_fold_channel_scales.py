"""Scales for channels: what is folded, and what else reads such a tensor."""

from __future__ import annotations

import re

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.passes.edit import constant
from edgeort.passes.fold_channel_scales import fold_channel_scales
from tests.passes.harness import check, counts, model_of

QUANTISED = "q = QuantizeLinear <axis = 1> (x, s, z) d = DequantizeLinear <axis = 1> (q, s, z)"
CONV = "wd = DequantizeLinear <axis = 0> (w, t) y = Conv <group = 4, pads = [1, 1, 1, 1]> (d, wd)"


def graph(nodes: str, types: str = "float[A,B,C,D] y", columns: int = 4) -> ir.Model:
    text = f"""g (float[2,4,6,6] x) => ({types}) <float[4] s = {{0.02, 0.03, 0.5, 0.0625}},
      uint8[4] z = {{9, 9, 9, 9}}, uint8[4] uneven = {{9, 9, 9, 8}}, float[4] others = {{0.02, 0.03, 0.5, 0.06}},
      float one = {{0.01}}> {{ {nodes} }}"""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.integers(-99, 99, (columns, 1, 3, 3)).astype(np.int8),
        "t": rng.uniform(0.01, 0.02, columns).astype(np.float32),
        "t0": np.zeros(columns, np.int8),
        "v": rng.normal(size=(columns, 1, 3, 3)).astype(np.float32),
    }
    read = {name: array for name, array in weights.items() if re.search(rf"\b{name}\b", nodes)}
    return model_of(text, weights=read)


def folded(model: ir.Model) -> int:
    model, ctx = check(model, (fold_channel_scales,), rtol=1e-4)
    return ctx.counts["fold_channel_scales"]


@pytest.mark.parametrize("columns", (4, 8))
def test_scales_are_folded(columns: int) -> None:
    model = graph(f"{QUANTISED} {CONV}", columns=columns)
    assert folded(model) == 1 and counts(model)["Mul"] == 1
    scales = [constant(node.inputs[1]) for node in model.graph if node.op_type.endswith("Linear")]
    assert sorted(array.size for array in scales if array is not None) == [1, 1, columns]


def test_weights_with_one_scale_or_zero_points_and_two_readers() -> None:
    other = "vd = DequantizeLinear (w, one) r = Conv <group = 4> (d, vd)"
    model = graph(f"{QUANTISED} {CONV.replace('t)', 't, t0)')} {other}", "float[A,B,C,D] y, float[A,B,C,D] r")
    assert folded(model) == 1


@pytest.mark.parametrize(
    "nodes",
    [
        f"{QUANTISED} y = Relu (d)",
        f"{QUANTISED} {CONV} e = Relu (d)",
        f"{QUANTISED.replace(' z)', ' uneven)')} {CONV}",
        f"{QUANTISED.replace('(q, s', '(q, others')} {CONV}",
        f"{QUANTISED} y = Conv <group = 4> (d, v)",
        f"{QUANTISED} {CONV} e = Identity (q)",
    ],
)
def test_what_stays(nodes: str) -> None:
    kind = "uint8" if "Identity" in nodes else "float"
    model = graph(nodes, f"float[A,B,C,D] y, {kind}[A,B,C,D] e" if " e =" in nodes else "float[A,B,C,D] y")
    assert folded(model) == 0 and not counts(model)["Mul"]
