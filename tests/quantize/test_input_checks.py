"""Odd samples are warned about, usual ones are not."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.quantize.input_checks import InputChecks
from tests.quantize.models import mobile, pictures


def warnings(data: np.ndarray) -> list[str]:
    checks = InputChecks(ir.from_proto(mobile()).graph)
    for row in data.astype(np.float32):
        checks.look({"x": row[np.newaxis]})
    return checks.warnings()


def photographs(mean: tuple[float, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(rng.normal(0, 60, (20, 3, 12, 12)) + np.array(mean).reshape(3, 1, 1), 0, 255).round()


def test_usual_inputs_pass():
    assert warnings(pictures(20)) == []
    assert warnings((photographs((124, 116, 104)) - 127) / 128) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((5, 3, 12, 12)), "5 of 5 samples hold one number only"),
        (np.repeat(pictures(2), 3, axis=0), "only 2 of 6 samples differ"),
        (photographs((124, 116, 104)), "holds pixels 0..255"),
        ((photographs((104, 116, 124)) - 127) / 128, "is it BGR"),
    ],
)
def test_odd_inputs_are_told(data: np.ndarray, words: str):
    (told,) = warnings(data)
    assert words in told
    assert "'x'" in told
