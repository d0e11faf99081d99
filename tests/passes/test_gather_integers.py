from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes.gather_integers import gather_integers
from tests.passes.harness import check, counts, model_of

RNG = np.random.default_rng(0)
TABLE = RNG.integers(0, 256, (7, 4, 5)).astype(np.uint8)


def graph(axis: int, along: int, indices: str, types: str = "float[A,B,C,D]") -> str:
    return f"""g () => ({types} y) <int64{indices}> {{
        t = DequantizeLinear <axis = {axis}> (w, s, z) y = Gather <axis = {along}> (t, i) }}"""


@pytest.mark.parametrize(("axis", "along"), [(0, 0), (2, 0), (1, 2), (0, -1), (1, 1)])
@pytest.mark.parametrize("zeros", [True, False])
def test_a_scale_for_each_slice(axis: int, along: int, zeros: bool) -> None:
    size = TABLE.shape[axis]
    weights = {
        "w": TABLE,
        "s": RNG.uniform(0.01, 0.1, size).astype(np.float32),
        "z": (RNG.integers(0, 256, size) * zeros).astype(np.uint8),
    }
    model = model_of(graph(axis, along, "[2,2] i = {0, -1, 3, 1}"), weights=weights)
    model, ctx = check(model, (gather_integers,))
    assert ctx.counts["gather_integers"] == 1
    table = next(node for node in model.graph if node.op_type == "Gather" and node.outputs[0].dtype.name == "UINT8")
    assert table.inputs[0].name == "w" and "Sub" in counts(model) or not zeros


@pytest.mark.parametrize(
    ("table", "attributes", "scale", "reason"),
    [
        (TABLE.astype(np.int16), "axis = 0", np.ones(7, np.float32), "8 bits"),
        (TABLE, "axis = 2, block_size = 3", np.ones((7, 4, 2), np.float32), "blocks"),
    ],
)
def test_what_stays(table: np.ndarray, attributes: str, scale: np.ndarray, reason: str) -> None:
    text = f"""g () => (float[A,B,C] y) <int64[1] i = {{2}}> {{
        t = DequantizeLinear <{attributes}> (w, s) y = Gather (t, i) }}"""
    _, ctx = check(model_of(text, opset=21, weights={"w": table, "s": scale}), (gather_integers,))
    assert ctx.counts["gather_integers"] == 0 and reason in str(ctx.log[0])
