"""Every command: what it prints, its JSON, its exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

import edgeort
from edgeort import cli, sample
from edgeort.cli.build import choose_model
from edgeort.cli.common import print_json
from tests.cli.support import call, folder, with_odd_operator
from tests.models import ON_HOST

__all__ = ["folder"]


def test_help_and_version():
    assert call("--help").exit_code == 0
    for name in ("build", "bench", "report", "validate", "quantize", "run", "inspect", "profiles"):
        assert name in call("--help").stdout
        assert call(name, "--help").exit_code == 0
    assert call("--version").stdout == f"edgeort {edgeort.__version__}\n"


@pytest.mark.parametrize("name", ["build", "bench", "validate", "report", "profiles probe"])
def test_help_has_every_form_of_a_place(name: str):
    said = call(*name.split(), "--help").stdout
    assert all(form in said for form in ("local", "emulated[:CPU]", "ssh:[user@]host", "adb[:SERIAL]"))


def test_help_is_quick_and_imports_nothing_heavy():
    """Quick in CPU time, which does not depend on what else the machine does."""
    code = """if True:
        import sys, time
        sys.argv = ["edgeort", "--help"]
        from edgeort.cli import main
        try:
            main()
        except SystemExit:
            pass
        print(sorted({"numpy", "onnx", "onnx_ir", "onnxruntime", "onnxscript"} & set(sys.modules)))
        print(time.process_time())"""
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        imported, seconds = done.stdout.splitlines()[-2:]
        assert imported == "[]"
        times.append(float(seconds))
    assert min(times) < 0.3


def test_build_prints_a_summary(folder: Path, tmp_path: Path):
    result = call(
        "build",
        folder / "m.onnx",
        "--device",
        "host",
        "--provider",
        "cpu",
        "-o",
        tmp_path / "b",
        "--shape",
        "x=2x8",
        "--threads",
        1,
    )
    assert result.exit_code == 0
    for words in ("(argument)", str(tmp_path / "b"), "ran on", "local", "of ONNX Runtime", "p50"):
        assert words in result.stdout
    assert "edgeort: compile" in result.stderr


def test_build_as_json(folder: Path, tmp_path: Path):
    result = call("build", folder / "m.onnx", *ON_HOST, "-o", tmp_path / "b.zip", "--json")
    found = json.loads(result.stdout)
    assert found["bundle"] == str(tmp_path / "b.zip") and found["max_difference"] <= 1e-6
    assert found["bundle_bytes"] > found["library_bytes"] > 0 and found["model_source"] == "argument"


def test_build_without_a_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert choose_model(None, tmp_path) == (sample.path(), "packaged sample")
    shutil.copy(folder / "m.onnx", tmp_path)
    (tmp_path / "edgeort.toml").write_text('[model]\npath = "m.onnx"\n')
    result = call("build", *ON_HOST)
    assert result.exit_code == 0 and "(edgeort.toml)" in result.stdout
    assert (tmp_path / "build/m-host/manifest.json").exists()


@pytest.mark.parametrize(
    "text", ["", "[model]", "model = 3", '[model]\npath = "m"\nother = 1', "[model", "[model]\npath = 3"]
)
def test_a_bad_edgeort_toml_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgeort.toml").write_text(text)
    result = call("build", *ON_HOST)
    assert result.exit_code == 2 and "edgeort.toml" in result.stderr


def test_bench(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = call("bench", folder / "b", "--runs", 5, "--profile")
    assert result.exit_code == 0
    for words in ("local", "p50", "p99", "golden outputs passed", "Gemm"):
        assert words in result.stdout
    found = json.loads(call("bench", folder / "b", "--runs", 5, "--json", "--on", "local").stdout)
    assert found["latency_ms"]["runs"] == 5 and found["check"] == "passed" and found["budgets"] == []


def test_validate(folder: Path):
    golden = call("validate", folder / "b")
    assert golden.exit_code == 0 and "bit-identical" in golden.stdout and "not compared" in golden.stdout
    arguments = ("validate", folder / "b", "--model", folder / "m.onnx")
    assert json.loads(call(*arguments, "--json").stdout)["comparisons"][0]["output"] == "y"
    assert call(*arguments, "--input", f"x={folder / 'x.npy'}").exit_code == 0


def test_a_file_in_the_place_of_the_folder_of_outputs_stays(folder: Path, tmp_path: Path):
    (tmp_path / "notes").write_text("mine")
    result = call("run", folder / "m.onnx", "-o", tmp_path / "notes")
    assert result.exit_code == 2 and "notes cannot be written" in result.stderr
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize("what", ["m.onnx", "b"])
def test_run(folder: Path, tmp_path: Path, what: str):
    arguments = ("run", folder / what, "--input", f"x={folder / 'x.npy'}")
    (found,) = json.loads(call(*arguments, "--json", "-o", tmp_path).stdout)["outputs"]
    want = edgeort.InferenceSession(folder / "m.onnx").run(None, {"x": np.load(folder / "x.npy")})[0]
    assert found["name"] == "y" and found["shape"] == [2, 5]
    assert np.array(found["values"], np.float32).tobytes() == want.tobytes()
    assert np.load(tmp_path / "output0.npy").tobytes() == want.tobytes()
    assert "2x5" in call(*arguments).stdout
    assert "pseudo-random" in call("run", folder / what).stdout


def test_profiles():
    listed = call("profiles", "list").stdout
    assert "raspberrypi4" in listed and "Cortex-A72" in listed
    assert {"host", "raspberrypi4"} <= {
        profile["name"] for profile in json.loads(call("profiles", "list", "--json").stdout)
    }
    assert "cortex-a72" in call("profiles", "show", "raspberrypi4").stdout
    assert json.loads(call("profiles", "show", "raspberrypi4", "--json").stdout)["cpu"]["qemu"] == "cortex-a72"


def test_inspect(folder: Path, tmp_path: Path):
    result = call("inspect", folder / "m.onnx", "--shape", "x=2x8")
    assert result.exit_code == 0 and "Gemm" in result.stdout and "962" in result.stdout  # 2 * (8 + 5) * 37
    assert "can run every node" in call("inspect", folder / "m.onnx", "--device", "raspberrypi4").stdout
    onnx.save(with_odd_operator(), tmp_path / "odd.onnx")
    found = json.loads(call("inspect", tmp_path / "odd.onnx", "--device", "host", "--json").stdout)
    assert [(node["node"], node["op_type"]) for node in found["unsupported"]] == [("n7", "odd::Frob")]


def test_what_is_printed_has_no_padding(folder: Path):
    for arguments in (("inspect", folder / "m.onnx"), ("profiles", "list"), ("run", folder / "b")):
        lines = call(*arguments).stdout.splitlines()
        assert len(lines) > 2 and lines[1] and all(line == line.rstrip() for line in lines)


def test_numbers_that_json_lacks_are_text(capsys: pytest.CaptureFixture[str]):
    print_json({"y": [float("nan"), float("-inf"), 1.5], "n": (1,)})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"y": ["nan", "-inf", 1.5], "n": [1]}


def test_providers_says_who_can_and_which_nodes_they_leave(tmp_path: Path):
    onnx.save(with_odd_operator(), tmp_path / "odd.onnx")
    rows = json.loads(call("providers", tmp_path / "odd.onnx", "--device", "x86-64", "--json").stdout)["providers"]
    found = {row["provider"]: row for row in rows}
    assert [node["node"] for node in found["cpu"]["refusals"]] == ["n7"]
    assert "does not run on linux" in found["coreml"]["reason"] and rows[0]["provider"] == "cpu"


def test_why_says_precision_bytes_and_times(folder: Path):
    told = json.loads(call("why", folder / "b", "--json").stdout)
    assert told["provider"] == "cpu" and told["size_bytes"]["model.plan"] > 0
    assert all(node["ms"] is not None and node["precision"] for node in told["nodes"])
    one = call("why", folder / "b", "fc2")
    assert "fc2" in one.stdout and "fc1" not in one.stdout
    assert call("why", folder / "b", "nosuch").exit_code == 2


def test_an_interrupt_while_it_starts_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    class Starting(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "edgeort.cli.app", Starting("edgeort.cli.app"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130 and capsys.readouterr().err == "interrupted\n"
