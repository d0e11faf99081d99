"""The choice of a provider, judged by hand-made times and by a run of the sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import choice
from benchmarks.choice import Row

ROW = Row("m", "int8", "host", 2, "cpu", {"cpu": 1.1, "openvino": 1.0, "litert": 4.0}, {"cpu": 1.21, "openvino": 1.25})


def test_a_row_says_how_wrong_the_choice_was():
    assert ROW.fastest == "openvino" and ROW.excess == pytest.approx(0.1)
    assert ROW.excess_by_predictions == pytest.approx(0.1)
    assert ROW.error("cpu") == pytest.approx(0.1) and ROW.error("litert") is None
    assert Row("m", "int8", "host", 2, "cpu", {"cpu": 1.0}, {}).excess_by_predictions is None


def test_the_summary_counts():
    right = Row("m", "float32", "host", 2, "cpu", {"cpu": 1.04, "openvino": 1.0}, {})
    assert list(choice.summary([ROW, right])) == [
        "taken by measurement: the fastest or within 5% in 1 of 2, at worst 10.0% slower",
        "taken by predictions: the fastest or within 5% in 0 of 1, at worst 10.0% slower",
        "predictions of cpu: off by 10% in the median of 1, at worst +10%",
        "predictions of openvino: off by 25% in the median of 1, at worst +25%",
    ]


@pytest.mark.slow
def test_a_run_adds_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    results = tmp_path / "r.jsonl"
    few = ("--rounds", "1", "--turn-ms", "5", "--profiles", "host", "--results", str(results))
    for _ in range(2):
        assert choice.main(["digits", "--precisions", "float32", *few]) == 0
    rows = [Row(**json.loads(line)) for line in results.read_text().splitlines()]
    assert len(rows) == 2 and rows[0].measured_ms["cpu"] > 0 and rows[0].chosen in rows[0].measured_ms
    assert "of 2, at worst" in capsys.readouterr().out
    assert choice.main(["nothing"]) == 2
