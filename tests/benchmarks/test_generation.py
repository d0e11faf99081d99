"""The contenders of benchmarks.generation read the same tokens and say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from benchmarks.generation import grouped
from benchmarks.generation.__main__ import sqnr
from benchmarks.generation.contenders import Contender, Edgeort, OnnxRuntime
from examples.chatbot.weights import FORMS
from tests.generation import networks

PARTS = ([5, 7, 11, 13], [2], [3], [299])


def read(contender: Contender) -> np.ndarray:
    for _ in range(2):  # the second time after a reset
        contender.reset()
        logits = np.stack([contender.append(part).copy() for part in PARTS])
    return logits


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_onnx_runtime_with_bound_memory_says_what_edgeort_does(kv_heads: int, tmp_path: Path) -> None:
    plain, shared = networks.write(tmp_path, kv_heads, "float32"), tmp_path / "grouped.onnx"
    sizes = networks.sizes(kv_heads)
    ir.save(grouped.build(sizes, networks.state(sizes), FORMS["float32"]), shared)
    want = read(OnnxRuntime(plain, 1, 32))
    for contender in (Edgeort(plain, 1, 32), OnnxRuntime(shared, 1, 32)):
        np.testing.assert_allclose(read(contender), want, atol=1e-4 * np.abs(want).max())


def test_sqnr() -> None:
    reference = np.array([[3.0, 4.0]])
    assert sqnr(reference, reference) is None and sqnr(np.zeros(1), reference) is None
    assert sqnr(reference + [[0.0, 0.5]], reference) == pytest.approx(20)
