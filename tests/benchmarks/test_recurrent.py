"""The cases of `python -m benchmarks.recurrent`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks import recurrent
from tests.kernels.support import plan_of


def test_int8_weights_are_stored_once() -> None:
    model = recurrent.in_int8(recurrent.model_of("GRU:32:5:2"))
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert [name for name, code in types.items() if code == onnx.TensorProto.INT8] == ["w_quantized", "r_quantized"]
    assert "w" not in types and [node.op for node in plan_of(model).nodes] == ["CompressedGRU"]


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = tmp_path / "rows.json"
    assert recurrent.main(["--case", "LSTM:32:4", "--seconds", "0.01", "--json", str(made)]) == 0
    assert "LSTM:32:4" in capsys.readouterr().out
    (row,) = json.loads(made.read_text())["rows"]
    assert row["int8_bytes"] < 0.5 * row["float_bytes"] and 30 < row["sqnr_db"] < 70 and np.isfinite(row["int8_ms"])
    assert 30 < row["dynamic_sqnr_db"] < 60 and row["dynamic_ms"] > 0 and row["onnxruntime_dynamic_ms"] > 0
    with pytest.raises(SystemExit):
        recurrent.main(["--case", "LSTM:wide"])
