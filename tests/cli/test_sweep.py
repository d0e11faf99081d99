"""`edgeort sweep` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

pytest.importorskip("pyarrow")

from edgeort.sweep.journal import Journal
from tests.cli.support import call, with_odd_operator
from tests.sweep.support import QUICK, write_mlp


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a model that builds, and one that does not."""
    write_mlp(tmp_path / "good.onnx")
    onnx.save(with_odd_operator(), tmp_path / "odd.onnx")
    return tmp_path


def test_the_table_and_the_reasons_are_printed(models: Path):
    result = call(
        "sweep", "--models", models / "*.onnx", "--devices", "host", "--settings", QUICK, "-o", models / "out"
    )
    assert result.exit_code == 1, "a cell failed"
    assert "2 cells: 1 done, 1 failed" in result.stdout
    assert "n7" in result.stdout and "odd host quick" in result.stdout
    assert "edgeort: good host quick: done in" in result.stderr and "(1/2 done" in result.stderr
    again = call("sweep", models / "good.onnx", "--devices", "host", "--settings", QUICK, "-o", models / "out")
    assert again.exit_code == 0 and "1 cell: 1 done, 1 of them earlier" in again.stdout
    assert "begun" not in again.stderr


def test_json(models: Path):
    result = call(
        "sweep", models / "good.onnx", models / "odd.onnx", "--devices", "host", "--settings", QUICK,
        "-o", models / "out", "--json",
    )  # fmt: skip
    told = json.loads(result.stdout)
    assert [row["status"] for row in told["rows"]] == ["done", "failed"]
    assert told["counts"] == {"done": 1, "failed": 1, "not run": 0}
    for name in ("parquet", "csv", "report"):
        assert Path(told[name]).is_file()


def test_models_after_the_option_are_what_a_shell_makes_of_a_pattern(models: Path):
    write_mlp(models / "more.onnx", seed=1)
    result = call(
        "sweep", "--models", models / "good.onnx", models / "more.onnx", "--devices", "host", "--settings", QUICK,
        "-o", models / "out",
    )  # fmt: skip
    assert result.exit_code == 0 and "2 cells: 2 done" in result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--devices", "host"), "there are no models"),
        (("--models", "good.onnx"), "there are no devices"),
        (("--models", "good.onnx", "--devices", "hots"), "unknown device 'hots'"),
        (("--models", "good.onnx", "--devices", "host", "--settings", "a:b=c"), "unknown key"),
        (("--models", "good.onnx", "--devices", "host", "x86-64"), "--models x86-64: there is no such file"),
        (("--models", "good.onnx", "--devices", "host", "-o", "good.onnx"), "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    models: Path, options: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(models)
    result = call("sweep", *options)
    assert result.exit_code == 2 and message in result.stderr
    assert not (models / "sweep").exists() or not list((models / "sweep").glob("journal*"))


def test_a_cell_is_named_with_its_place(models: Path):
    result = call(
        "sweep", models / "good.onnx", "--devices", "host@emulated", "--settings", QUICK, "-o", models / "out"
    )
    assert result.exit_code == 1 and result.stdout.count("good host@emulated quick") == 1


def test_a_second_sweep_at_the_same_time_is_refused(models: Path):
    with Journal(models / "out"):
        result = call("sweep", models / "good.onnx", "--devices", "host", "-o", models / "out")
    assert result.exit_code == 2 and "another sweep writes to it" in result.stderr
