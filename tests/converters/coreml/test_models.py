"""Real models, saved and evaluated: float16, and int8 weights, are ONNX Runtime's within the error of float16."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest

from benchmarks import models
from edgeort import model
from edgeort.converters import coreml
from edgeort.errors import ModelError
from edgeort.quantize import Form, Options, quantize
from tests.converters.coreml.support import evaluate, reference

pytestmark = pytest.mark.slow


class Case(NamedTuple):
    """`shapes` fix or bound what is free, `fixed` fix it; `error` is the greatest, of the range, of float16."""

    name: str
    error: float
    shapes: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


_YOLO = ("images=1x3x320x320",)
_TOKENS = ("input_ids=1x128", "attention_mask=1x128")
CASES = (
    Case("efficientnet_lite0", 0.004),
    Case("mobilenetv3_small_100", 0.004),
    Case("yolov8n", 0.003, _YOLO, _YOLO),
    Case("minilm", 0.002, ("input_ids=1-2x16-128", "attention_mask=1-2x16-128"), _TOKENS),
)


def find(name: str) -> models.Model:
    try:
        return models.find(name)
    except ModelError as error:
        pytest.skip(f"{error}: {error.hint}")


def worst(package: coreml.Package, path: Path, feeds: dict[str, np.ndarray], folder: Path) -> float:
    """The greatest difference from ONNX Runtime, as a share of the output's range."""
    found, want = evaluate(package, feeds, folder), reference(onnx.load(path), feeds)
    assert set(found) == set(want)
    return max(float(np.abs(found[key] - array).max() / np.ptp(array)) for key, array in want.items())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_float16(case: Case, tmp_path: Path):
    found = find(case.name)
    package = coreml.emit(model.clean(model.load(found.path, shapes=model.parse_shapes(case.shapes))))
    assert worst(package, found.path, found.feeds, tmp_path) <= case.error
    assert package.size_bytes < 0.53 * found.path.stat().st_size


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_int8_weights(case: Case, tmp_path: Path):
    """The weights of `edgeort quantize --activations float`: the numbers that ONNX Runtime computes with them."""
    found, path = find(case.name), tmp_path / "int8.onnx"
    quantize(found.path, path, None, Options(activations=Form.FLOAT))
    ready = model.clean(model.load(path, shapes=model.parse_shapes(case.fixed)))
    package = coreml.emit(ready, coreml.Options(min_os="16.0"))
    assert worst(package, path, found.feeds, tmp_path) <= case.error
    assert package.size_bytes < 0.31 * found.path.stat().st_size
