"""How float constants are stored."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort import model as models
from edgeort.converters import tflite
from tests.converters.tflite.support import check
from tests.passes.harness import model_of

GRAPH = "agraph (float[2, 32] x) => (float[2, 32] y) { y = MatMul(x, w) }"


def kinds(weights: np.ndarray, how: str) -> set[str]:
    """The types of the file's constants."""
    graph = models.clean(model_of(GRAPH, weights={"w": weights}))
    tensors = tflite.lower(graph, tflite.Options(weights=how)).graph.tensors  # type: ignore[arg-type]
    return {tensor.dtype for tensor in tensors if tensor.data is not None and len(tensor.shape) == 2}


@pytest.mark.parametrize(
    ("factor", "lossless"), [(1.0, "float16"), (1 + 2**-20, "float32"), (1e6, "float32"), (1e-9, "float32")]
)
def test_float16_where_it_holds_every_number(factor: float, lossless: str):
    halves = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float16)
    weights = halves.astype(np.float32) * np.float32(factor)
    assert kinds(weights, "lossless") == {lossless}
    assert kinds(weights, "float32") == {"float32"}
    check(GRAPH, weights={"w": weights}, options=tflite.Options(weights="lossless"))
