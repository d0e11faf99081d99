"""The cases of `python -m benchmarks.operators`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from benchmarks import operators
from benchmarks.operators import __main__ as command
from benchmarks.operators import cases


def test_every_case_is_a_model_with_data() -> None:
    assert operators.__doc__ and len(cases.names()) == len(set(cases.names())) > 100
    for name in cases.names():
        case = cases.load(name)
        ort.InferenceSession(case.model.SerializeToString(), providers=["CPUExecutionProvider"])
        assert case.feeds.keys() == {value.name for value in case.model.graph.input}, name


def test_inputs_are_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    assert cases.data("i7b", [100], np.dtype(np.int64), rng).max() == 6
    assert cases.data("k64", [], np.dtype(np.int64), rng) == 64
    boxes = cases.data("boxes", [5, 4], np.dtype(np.float32), rng)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert cases.data("grid", [1, 4, 6, 2], np.dtype(np.float32), rng)[0, 0, 0].max() < -0.9


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = tmp_path / "rows.json"
    assert command.main(["range", "top k, 5", "--seconds", "0.01", "--json", str(made)]) == 0
    assert "top k, 5 of 1000" in capsys.readouterr().out
    rows = json.loads(made.read_text())["rows"]
    assert [row["case"] for row in rows] == ["top k, 5 of 1000", "range"] and all(
        row["difference"] == 0 for row in rows
    )
    with pytest.raises(SystemExit):
        command.main(["no such case"])
