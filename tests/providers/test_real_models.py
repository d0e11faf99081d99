"""Real models by other engines: their bundles give ONNX Runtime's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeort
from edgeort.pipeline import Accuracy, Wish
from tests.models import HOST
from tests.real_models.find import find

pytestmark = pytest.mark.slow
WISH = Wish("openvino", required=True)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv3_small_100", "ppocr_cls"])
def test_openvino_float(name: str, tmp_path: Path):
    pytest.importorskip("openvino")
    result = edgeort.build(find(name), HOST, tmp_path / "b", wish=WISH)
    assert result.max_difference < 1e-3 and result.measurement is not None


def test_openvino_int8(tmp_path: Path):
    pytest.importorskip("openvino")
    data = tmp_path / "x.npy"
    np.save(data, np.random.default_rng(0).standard_normal((8, 3, 224, 224)).astype(np.float32))
    result = edgeort.build(find("mobilenetv2_100"), HOST, tmp_path / "b", accuracy=Accuracy("int8", data), wish=WISH)
    assert result.precisions["int8"] > 50 and (result.comparisons[0].sqnr_db or 0) > 20
