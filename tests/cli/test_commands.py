"""Every command: what it prints, its JSON, its exit status, and bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

import edgeort
from edgeort import sample, toolchain
from edgeort.cli.app import app
from edgeort.cli.build import choose_model
from tests.models import mlp, model

RUNNER = CliRunner()


def call(*arguments: object) -> Result:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with m.onnx, x.npy for it, and its bundle b for this machine."""
    place = tmp_path_factory.mktemp("cli")
    onnx.save(mlp(), place / "m.onnx")
    np.save(place / "x.npy", np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8))
    edgeort.build(place / "m.onnx", "host", place / "b")
    return place


def test_help_and_version():
    assert call("--help").exit_code == 0
    for name in ("build", "bench", "validate", "run", "inspect", "profiles"):
        assert name in call("--help").stdout
        assert call(name, "--help").exit_code == 0
    assert call("--version").stdout == f"edgeort {edgeort.__version__}\n"


def test_help_is_quick_and_imports_nothing_heavy():
    code = "import sys; sys.argv = ['edgeort', '--help']\nfrom edgeort.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'numpy', 'onnx', 'onnx_ir', 'onnxruntime', 'onnxscript'} & set(sys.modules)))"
    times = []
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - start)
    assert done.stdout.splitlines()[-1] == "[]"
    assert min(times) < 0.3


def test_build_prints_a_summary(folder: Path, tmp_path: Path):
    result = call(
        "build", folder / "m.onnx", "--device", "host", "-o", tmp_path / "b", "--shape", "x=2x8", "--threads", 1
    )
    assert result.exit_code == 0
    for words in ("(argument)", str(tmp_path / "b"), "ran on", "local", "of ONNX Runtime", "p50"):
        assert words in result.stdout
    assert "edgeort: compile" in result.stderr


def test_build_as_json(folder: Path, tmp_path: Path):
    result = call("build", folder / "m.onnx", "--device", "host", "-o", tmp_path / "b.zip", "--json")
    found = json.loads(result.stdout)
    assert found["bundle"] == str(tmp_path / "b.zip") and found["max_difference"] <= 1e-6
    assert found["bundle_bytes"] > found["library_bytes"] > 0 and found["model_source"] == "argument"


def test_build_without_a_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert choose_model(None, tmp_path) == (sample.path(), "packaged sample")
    shutil.copy(folder / "m.onnx", tmp_path)
    (tmp_path / "edgeort.toml").write_text('[model]\npath = "m.onnx"\n')
    result = call("build", "--device", "host")
    assert result.exit_code == 0 and "(edgeort.toml)" in result.stdout
    assert (tmp_path / "build/m-host/manifest.json").exists()


@pytest.mark.parametrize(
    "text", ["", "[model]", "model = 3", '[model]\npath = "m"\nother = 1', "[model", "[model]\npath = 3"]
)
def test_a_bad_edgeort_toml_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgeort.toml").write_text(text)
    result = call("build", "--device", "host")
    assert result.exit_code == 2 and "edgeort.toml" in result.stderr


def test_bench(folder: Path):
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


def with_odd_operator() -> onnx.ModelProto:
    found = model([helper.make_node("Frob", ["x"], ["y"], domain="odd", name="n7")], [("x", [2])], [("y", [2])])
    found.opset_import.append(helper.make_opsetid("odd", 1))
    return found


def external(place: Path, location: str) -> Path:
    """A model whose weight lies at `location`, which does not exist or may not be read."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    path = place / "external.onnx"
    onnx.save(model([helper.make_node("Add", ["x", "w"], ["y"])], [("x", [2])], [("y", [2])], [weight]), path)
    return path


def written(place: Path, data: bytes | onnx.ModelProto) -> Path:
    path = place / "bad.onnx"
    path.write_bytes(data if isinstance(data, bytes) else data.SerializeToString())
    return path


# what is wrong -> (the model's path, made in a folder; more arguments; words of the message)
BAD_BUILDS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...], str]] = {
    "absent": (lambda place: place / "absent.onnx", (), "no such file"),
    "a folder": (lambda place: place, (), "folder"),
    "empty": (lambda place: written(place, b""), (), "empty"),
    "not ONNX": (lambda place: written(place, b"hello world " * 9), (), "not an ONNX file"),
    "truncated": (lambda place: written(place, mlp().SerializeToString()[:-100]), (), "truncated"),
    "external data missing": (lambda place: external(place, "gone.bin"), (), "gone.bin"),
    "external data outside": (lambda place: external(place, "../../etc/passwd"), (), "passwd"),
    "unknown opset": (lambda place: written(place, model([], [], [], opset=9999)), (), "9999"),
    "unknown operator": (lambda place: written(place, with_odd_operator()), (), "odd.Frob"),
    "malformed shape": (lambda place: written(place, mlp()), ("--shape", "x=1xx3"), "x=1xx3"),
    "other input": (lambda place: written(place, mlp()), ("--shape", "q=1x8"), "no input 'q'"),
    "other rank": (lambda place: written(place, mlp()), ("--shape", "x=1x8x8"), "dimensions"),
    "layout": (lambda place: written(place, mlp()), ("--io-layout", "chwn"), "chwn"),
    "no threads": (lambda place: written(place, mlp()), ("--threads", "0"), "equal to 1"),
    "unknown option": (lambda place: written(place, mlp()), ("--frob",), "--frob"),
    "unknown device": (lambda place: written(place, mlp()), ("--device", "raspberypi4"), "nearest: raspberrypi4"),
    "broken profile": (lambda place: written(place, mlp()), ("--device", "./none.toml"), "none.toml"),
    "no such place": (lambda place: written(place, mlp()), ("-o", "/proc/b"), "/proc/b"),
    "place in use": (lambda place: written(place, mlp()), ("-o", "/etc"), "is not a bundle"),
}


@pytest.mark.parametrize("what", BAD_BUILDS)
def test_bad_input_is_one_paragraph_and_status_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str):
    make, more, words = BAD_BUILDS[what]
    place = tmp_path / "place"
    place.mkdir()
    path = make(place)
    before = sorted(place.iterdir())
    monkeypatch.chdir(place)
    result = call("build", path, "--device", "host", *more)
    assert result.exit_code == 2
    assert words in result.stderr.replace("\n", " ") and "Traceback" not in result.stderr
    assert sorted(place.iterdir()) == before


def test_errors_as_json(tmp_path: Path):
    result = call("build", tmp_path / "absent.onnx", "--device", "host", "--json")
    found = json.loads(result.stdout)
    assert (
        result.exit_code == 2 and found["kind"] == "ModelError" and "no such file" in found["error"] and found["hint"]
    )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(folder: Path, tmp_path: Path):
    tmp_path.chmod(0o500)
    result = call("build", folder / "m.onnx", "--device", "host", "-o", tmp_path / "b")
    assert result.exit_code == 2 and "Permission denied" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = Path.write_bytes

    def write(path: Path, data: bytes) -> int:
        return real(Path("/dev/full") if "bundle" in path.parts and str(tmp_path) in str(path) else path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    result = call("build", folder / "m.onnx", "--device", "host", "-o", tmp_path / "out" / "b")
    assert (
        result.exit_code == 2
        and "No space left on device" in result.stderr
        and "hint: free some space" in result.stderr
    )
    assert not list(tmp_path.rglob("*.*"))


def npy(place: Path, array: np.ndarray) -> str:
    np.save(place / "bad.npy", array)
    return f"x={place / 'bad.npy'}"


def text(place: Path) -> str:
    (place / "text.npy").write_text("no array")
    return f"x={place / 'text.npy'}"


# what is wrong -> (the value of --input, words of the message)
BAD_INPUTS: dict[str, tuple[Callable[[Path], str], str]] = {
    "form": (lambda place: "x", "not NAME=FILE.npy"),
    "absent": (lambda place: "x=/nowhere.npy", "/nowhere.npy"),
    "text": (text, "not a .npy file"),
    "dtype": (lambda place: npy(place, np.ones((2, 8), np.int64)), "must be float32, not int64"),
    "shape": (lambda place: npy(place, np.ones((2, 9), np.float32)), "[2, 9]"),
    "objects": (lambda place: npy(place, np.array([{}], object)), "not a .npy file of numbers"),
    "name": (lambda place: npy(place, np.ones((2, 8), np.float32)).replace("x=", "q=", 1), "no input 'q'"),
}


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize("what", BAD_INPUTS)
def test_bad_inputs_are_refused(folder: Path, tmp_path: Path, command: str, what: str):
    make, words = BAD_INPUTS[what]
    more = ("--model", folder / "m.onnx") if command == "validate" else ()
    result = call(command, folder / "b", *more, "--input", make(tmp_path))
    assert result.exit_code == 2 and words in result.stderr and "Traceback" not in result.stderr


def test_another_model_is_no_reference(folder: Path, tmp_path: Path):
    onnx.save(mlp(seed=9), tmp_path / "other.onnx")
    result = call("validate", folder / "b", "--model", tmp_path / "other.onnx")
    assert result.exit_code == 2 and "is not the model" in result.stderr
    assert "add --model" in call("validate", folder / "b", "--input", f"x={folder / 'x.npy'}").stderr


@pytest.mark.parametrize("command", ["bench", "validate", "run"])
def test_a_changed_bundle_is_refused_by_name(folder: Path, tmp_path: Path, command: str):
    shutil.copytree(folder / "b", tmp_path / "b")
    plan = tmp_path / "b/model.plan"
    data = bytearray(plan.read_bytes())
    data[-1] ^= 1
    plan.write_bytes(data)
    result = call(command, tmp_path / "b")
    assert result.exit_code == 2 and "model.plan was changed" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("bench", "/nowhere"), ("validate", "/etc"), ("run", "/nowhere"), ("inspect", "/etc")]
)
def test_paths_that_lead_nowhere(arguments: tuple[str, ...]):
    result = call(*arguments)
    assert result.exit_code == 2 and arguments[1] in result.stderr and "hint: " in result.stderr


def test_a_failed_check_is_status_1(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edgeort.validate import validation

    honest = validation.reference_outputs
    monkeypatch.setattr(validation, "reference_outputs", lambda *a: [y + np.float32(0.1) for y in honest(*a)])
    result = call("validate", folder / "b", "--model", folder / "m.onnx", "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["kind"] == "CheckError"


def test_a_bug_of_ours_shows_its_traceback(folder: Path, monkeypatch: pytest.MonkeyPatch):
    from edgeort import inspection

    monkeypatch.setattr(inspection, "inspect", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("inspect", folder / "m.onnx")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_is_status_130_and_leaves_nothing(folder: Path, tmp_path: Path):
    """Interrupted while it compiles, with a cache of its own so that there is something to compile."""
    environment = {**os.environ, "EDGEORT_CACHE": str(tmp_path / "cache")}
    command = [
        sys.executable,
        "-m",
        "edgeort",
        "build",
        str(folder / "m.onnx"),
        "--device",
        "host",
        "-o",
        str(tmp_path / "b"),
    ]
    process = subprocess.Popen(
        command, env=environment, cwd=Path(toolchain.__file__).parent.parent, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line == "edgeort: compile\n":
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(30) == 130, rest
    assert "Traceback" not in rest and "interrupted" in rest
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}
