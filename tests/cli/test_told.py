"""What commands say of sizes that are free, of many notes, of no difference; and how --help names things."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import onnx
import pytest
from onnx import helper
from typer.main import get_command

from edgeort.cli.app import app
from edgeort.cli.build import _typed
from edgeort.cli.summary import NOTES_SHOWN, _notes
from tests.cli.support import call, folder
from tests.models import ON_HOST, model

__all__ = ["folder"]


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose length is free, and must be 100 or more, as its convolution has no padding."""
    place = tmp_path_factory.mktemp("free")
    weight = helper.make_tensor("w", onnx.TensorProto.FLOAT, [1, 2, 100], [1.0] * 200)
    conv = helper.make_node("Conv", ["x", "w"], ["y"], name="long")
    onnx.save(model([conv], [("x", [1, 2, "length"])], [("y", [1, 1, "left"])], [weight]), place / "long.onnx")
    relu = helper.make_node("Relu", ["x"], ["y"], name="act")
    onnx.save(model([relu], [("x", ["batch", 2, "length"])], [("y", ["batch", 2, "length"])]), place / "act.onnx")
    return place


def test_sizes_that_are_free_are_told(free: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = call("build", free / "act.onnx", *ON_HOST, "-o", "b")
    assert "inputs    x=1x2x16, of sizes that are free" in result.stdout
    assert "check     equal to the outputs of ONNX Runtime" in result.stdout
    assert "inputs    x=1x2x16, of sizes that are free" in call("bench", "b", "--runs", 2).stdout
    fixed = call("build", free / "act.onnx", *ON_HOST, "-o", "b", "--shape", "x=1x2x30")
    assert fixed.exit_code == 0 and "inputs  " not in fixed.stdout
    assert "inputs  " not in call("bench", "b", "--runs", 2).stdout


def test_a_batch_of_one_goes_without_saying(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    found = json.loads(call("build", folder / "m.onnx", *ON_HOST, "-o", "b", "--json").stdout)
    assert found["sizes"] == {} and found["unpredicted"] == ""


def test_where_sizes_do_not_suit_those_that_were_chosen_are_told(free: Path, tmp_path: Path):
    result = call("build", free / "long.onnx", *ON_HOST, "-o", tmp_path / "b")
    assert result.exit_code == 2 and "hint: sizes that are free were x=1x2x16: --shape NAME=1x224" in result.stderr
    assert call("build", free / "long.onnx", *ON_HOST, "-o", tmp_path / "b", "--shape", "x=1x2x128").exit_code == 0


def test_the_command_of_a_float_build_has_all_other_options():
    given = ["m.onnx", "--device", "raspberrypi4", "-o", "a b", "--threads", "2", "--keep-stages", "--data", "x.npy"]
    given += [
        "--shape",
        "x=1x8",
        "--shape",
        "y=1x2",
        "--exclude",
        "n 1",
        "--max-drop",
        "0.5",
        "--min-sqnr",
        "0.0",
        "--postprocess",
        "softmax",
    ]
    command = get_command(app).commands["build"]  # type: ignore[attr-defined]
    with command.make_context("build", [*given, "--precision", "int8", "--io-layout", "nchw"]) as context:
        words = shlex.split(_typed(context, without="precision"))
    assert words[:2] == ["edgeort", "build"] and sorted(words[2:]) == sorted(given)


def test_many_notes_are_counted_by_pass():
    few = [f"fold_scale: Mul 'm{index}': why" for index in range(NOTES_SHOWN)]
    assert _notes(few) == few
    (line,) = _notes([*few, "average_first: GlobalAveragePool 'p': why"])
    assert line.startswith("passes left 5 matches as they are (fold_scale 4, average_first 1); --json")


def test_the_wrong_kind_of_file_is_told_the_command_for_it(folder: Path):
    model, bundle = folder / "m.onnx", folder / "b"
    for command in ("bench", "validate", "why"):
        assert f"hint: edgeort build {model} --device host" in call(command, model).stderr
    assert f"edgeort why {bundle}" in call("inspect", bundle).stderr
    (folder / "saved").mkdir()
    (folder / "saved/saved_model.pb").write_bytes(b"")
    assert f"hint: edgeort convert {folder / 'saved'} -o model.onnx" in call("inspect", folder / "saved").stderr


def test_a_model_without_weights_has_no_table_of_them(free: Path, folder: Path):
    assert "stored as" not in call("inspect", free / "act.onnx", "--device", "x86-64").stdout
    assert "stored as" in call("inspect", folder / "m.onnx", "--device", "x86-64").stdout


def names() -> list[str]:
    return [one.name or "" for one in app.registered_commands] + [
        f"profiles {one}" for one in ("list", "show", "probe")
    ]


@pytest.mark.parametrize("name", ["", "profiles", *names()])
def test_help_says_what_each_option_takes_and_nothing_of_flags(name: str):
    said = call(*name.split(), "--help").stdout
    options = said.partition("Options")[2]
    assert "--help" in options and "<" not in options.replace("<=", "")
