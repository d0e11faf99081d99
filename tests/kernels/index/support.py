"""Models of operators whose positions are data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, settings

from tests.kernels.support import parse

RNG = np.random.default_rng(5)
TYPES = {
    "float": np.float32,
    "double": np.float64,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "int8": np.int8,
}
WITH_FILES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sample(shape: Sequence[int], dtype: type = np.float32, high: int = 100) -> np.ndarray:
    return RNG.integers(0, high, tuple(shape)).astype(dtype)


def free(rank: int) -> str:
    return "[" + ", ".join("abcdefgh"[:rank]) + "]" if rank else ""


def graph(
    text: str, inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]], **constants: Any
) -> onnx.ModelProto:
    """A model of inputs x0, x1, ... and outputs y0, y1, ... of (type, rank), all dimensions free."""
    names = iter("pqrstuvw" * 8)
    ins = ", ".join(
        f"{kind}[{', '.join(next(names) + str(i) for _ in range(rank))}] x{i}" for i, (kind, rank) in enumerate(inputs)
    )
    outs = ", ".join(f"{kind}{free(rank)} y{i}" for i, (kind, rank) in enumerate(outputs))
    return parse(f"g ({ins}) => ({outs}) {{ {text} }}", constants, opset=18)
