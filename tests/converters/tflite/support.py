"""Writes a model as .tflite, runs it in LiteRT, and compares with ONNX Runtime on the ONNX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgeort import model as models
from edgeort.converters import tflite
from tests.passes.harness import model_of, random_feeds, run_ort

pytest.importorskip("flatbuffers")
pytest.importorskip("ai_edge_litert")

Feeds = Mapping[str, np.ndarray]


def run(data: bytes, feeds: Feeds) -> dict[str, np.ndarray]:
    """The outputs by name; float arrays are quantised for int8 inputs, int8 outputs stay integers."""
    interpreter = tflite.interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    details = runner.get_input_details()
    return runner(**{name: _fitted(array, details[name]) for name, array in feeds.items()})


def _fitted(array: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    if array.dtype == np.float32 and detail["dtype"] != np.float32 and scale:
        limits = np.iinfo(detail["dtype"])
        array = np.clip(np.rint(array / scale) + zero_point, limits.min, limits.max)
    return array.astype(detail["dtype"])


def operators(lowered: tflite.Lowered) -> list[str]:
    """The names of LiteRT's operators, in order."""
    return [operator.name for operator in lowered.graph.operators]


def check(
    model: ir.Model | str,
    *,
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 17,
    feeds: Feeds | None = None,
    tolerance: float = 1e-5,
    options: tflite.Options = tflite.DEFAULT,
) -> list[str]:
    """Compares all outputs, relative to each one's range; returns the operators that were written."""
    made = model_of(model, opset=opset, weights=weights) if isinstance(model, str) else model
    lowered = tflite.lower(models.clean(made), options)
    assert not lowered.refusals, [(node.op_type, reason) for node, reason in lowered.refusals]
    given = random_feeds(made, {}) if feeds is None else feeds
    found = run(tflite.to_bytes(lowered), given)
    for value, want in zip(made.graph.outputs, run_ort(made, dict(given)), strict=True):
        close(found[str(value.name)], want, tolerance)
    return operators(lowered)


def close(got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    """Equal shapes and types, and numbers within `tolerance` of the range of what is wanted."""
    assert got.shape == want.shape and got.dtype == want.dtype
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    span = float(want.max(initial=0) - want.min(initial=0)) or 1.0
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * span)


def reasons(text: str, *, weights: dict[str, np.ndarray] | None = None, opset: int = 17) -> list[tuple[str, str]]:
    """(operator, reason) of what is refused."""
    model = models.clean(model_of(text, opset=opset, weights=weights))
    return [(node.op_type, reason) for node, reason in tflite.refusals(model)]


def normal(seed: int = 0, **shapes: Sequence[int]) -> dict[str, np.ndarray]:
    """Standard normal float32 arrays."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(tuple(shape)).astype(np.float32) for name, shape in shapes.items()}


def sqnr_db(got: np.ndarray, want: np.ndarray) -> float:
    """Signal to noise in dB."""
    wide = want.astype(np.float64)
    return float(10 * np.log10(np.square(wide).sum() / max(np.square(got - wide).sum(), 1e-30)))
