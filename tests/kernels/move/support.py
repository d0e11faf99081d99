"""Models of one operator that moves elements, their results as NumPy has them, and plans that are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, settings

from edgeort.errors import PlanError
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from tests.kernels.support import open_plan, parse, run_everywhere, same_bits

RNG = np.random.default_rng(3)
TYPES = {"uint8": np.uint8, "int16": np.int16, "float": np.float32, "int64": np.int64}
WITH_FILES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sample(shape: Sequence[int], dtype: type = np.float32) -> np.ndarray:
    return RNG.integers(0, 250, tuple(shape)).astype(dtype)


def dims(n: int) -> str:
    return ", ".join("abcdefgh"[:n])


def one(text: str, x: np.ndarray, rank: int, kind: str = "float", opset: int = 19, **constants: Any) -> onnx.ModelProto:
    """A model of one node `y = ...` of x, and constants."""
    shape = ", ".join(map(str, x.shape))
    return parse(f"g ({kind}[{shape}] x) => ({kind}[{dims(rank)}] y) {{ {text} }}", constants, opset=opset)


def check(model: onnx.ModelProto, inputs: Sequence[np.ndarray], want: np.ndarray, folder: Path) -> None:
    (got,) = run_everywhere(model, inputs, folder)
    assert same_bits(got, want), (got.shape, want.shape, got.dtype, want.dtype)


def refusal(op: str, operands: Sequence[np.ndarray], params: bytes, folder: Path, outputs: int = 1) -> str:
    """What the runtime says to a plan of one node whose operands are constants."""
    plan = PlanBuilder()
    codes = {np.dtype(np.float32): 0, np.dtype(np.int64): 6, np.dtype(np.int32): 5}
    inputs = [plan.constant(f"c{i}", array, codes[array.dtype]) for i, array in enumerate(operands)]
    plan.outputs = [plan.activation(f"y{i}", 0) for i in range(outputs)]
    plan.node(op, "n", inputs, plan.outputs, params)
    with pytest.raises(PlanError) as raised:
        open_plan(plan, folder).run([])
    return raised.value.args[0]


def axis_params(**fields: int) -> bytes:
    return PARAMS["AxisParams"].pack(**fields)
