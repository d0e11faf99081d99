"""Models of opsets before the first that is known are converted, or refused as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort.errors import ModelError


def written(folder: Path, text: str, opset: int) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(
        onnx.parser.parse_model(f'<ir_version: 3, opset_import: ["": {opset}]> {text}').SerializeToString()
    )
    return path


@pytest.mark.parametrize("opset", [1, 5, 6])
def test_what_the_converter_knows(opset: int, tmp_path: Path) -> None:
    path = written(tmp_path, "g (float[2, 3] x) => (float[2, 3] y) { y = Relu(x) }", opset)
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    with edgeort.InferenceSession(path, threads=1) as session:
        assert session.run(None, {"x": x})[0].tolist() == np.maximum(x, 0).tolist()


def test_what_it_does_not_know(tmp_path: Path) -> None:
    text = "g (float[2, 3] x) => (float[1, 3] y) { y = Upsample<height_scale = 2.0, width_scale = 2.0>(x) }"
    with pytest.raises(ModelError, match="opset 1 of ai.onnx, which is not supported") as caught:
        edgeort.InferenceSession(written(tmp_path, text, 1))
    assert "convert_version" in str(caught.value.hint)
