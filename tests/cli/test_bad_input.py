"""Bad input: one paragraph, exit status 2, a hint, nothing half-made; a failed check: status 1; Ctrl-C: 130."""

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

from edgeort import toolchain
from tests.cli.support import call, folder, with_odd_operator
from tests.models import ON_HOST, mlp, model

__all__ = ["folder"]


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
    "two shapes": (lambda place: written(place, mlp()), ("--shape", "x=1x8", "--shape", "x=2x8"), "two shapes"),
    "too many threads": (lambda place: written(place, mlp()), ("--threads", "65"), "64"),
    "no threads": (lambda place: written(place, mlp()), ("--threads", "0"), "equal to 1"),
    "unknown option": (lambda place: written(place, mlp()), ("--frob",), "--frob"),
    "unknown device": (lambda place: written(place, mlp()), ("--device", "raspberypi4"), "nearest: raspberrypi4"),
    "a model as the device": (
        lambda place: written(place, mlp()),
        ("--device", "m.onnx"),
        "m.onnx is a model, not a device",
    ),
    "a model in a folder as the device": (
        lambda place: written(place, mlp()),
        ("--device", "some where/m.onnx"),
        "hint: edgeort build 'some where/m.onnx' --device raspberrypi4",
    ),
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
    result = call("build", path, *ON_HOST, *more)
    assert result.exit_code == 2
    assert words in result.stderr.replace("\n", " ") and "Traceback" not in result.stderr
    assert sorted(place.iterdir()) == before


def test_errors_as_json(tmp_path: Path):
    result = call("build", tmp_path / "absent.onnx", *ON_HOST, "--json")
    found = json.loads(result.stdout)
    assert (
        result.exit_code == 2 and found["kind"] == "ModelError" and "no such file" in found["error"] and found["hint"]
    )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(folder: Path, tmp_path: Path):
    tmp_path.chmod(0o500)
    result = call("build", folder / "m.onnx", *ON_HOST, "-o", tmp_path / "b")
    assert result.exit_code == 2 and "Permission denied" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = Path.write_bytes

    def write(path: Path, data: bytes) -> int:
        return real(Path("/dev/full") if "bundle" in path.parts and str(tmp_path) in str(path) else path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    result = call("build", folder / "m.onnx", *ON_HOST, "-o", tmp_path / "out" / "b")
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


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", LONG),
        ("validate", LONG),
        ("run", LONG),
        ("why", LONG),
        ("verify", LONG),
        ("report", LONG),
        ("package", LONG, "--ios"),
        ("lint", f"{LONG}.so"),
        ("convert", f"{LONG}.tflite", "-o", "x.onnx"),
        ("build", "m.onnx", *ON_HOST, "-o", LONG),
        ("build", "m.onnx", *ON_HOST, "--data", LONG),
    ],
)
def test_a_path_that_the_system_does_not_take(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "m.onnx", "m.onnx")
    result = call(*arguments)
    assert result.exit_code == 2 and "File name too long" in result.stderr and "hint: " in result.stderr
    assert os.listdir() == ["m.onnx"]


@pytest.mark.parametrize("size", ["", "K", "-1", "1X", "0", "1e9", "nan", "99999999999999G"])
def test_sizes_that_are_none(folder: Path, tmp_path: Path, size: str):
    result = call("build", folder / "m.onnx", *ON_HOST, "-o", tmp_path / "b", f"--ram-limit={size}")
    assert result.exit_code == 2 and f"--ram-limit {size}: this is not a size" in result.stderr


def test_a_limit_of_memory_that_cannot_be_kept_is_status_1(folder: Path, tmp_path: Path):
    result = call(
        "build",
        folder / "m.onnx",
        "--device",
        "host",
        "--provider",
        "cpu",
        "-o",
        tmp_path / "b",
        "--ram-limit",
        "0.01K",
    )
    assert result.exit_code == 1 and "bytes at least; the limit is 10" in result.stderr


def test_a_failed_check_is_status_1(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edgeort.validate import validation

    honest = validation.reference_outputs
    monkeypatch.setattr(validation, "reference_outputs", lambda *a, **k: [y + np.float32(0.1) for y in honest(*a)])
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
        command,
        env=environment,
        cwd=toolchain.RUNTIME.parent.parent,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
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


# a model that is valid and cannot run -> what inspect and build say of it
CANNOT_RUN: dict[str, tuple[str, tuple[str, str, str]]] = {
    "an operator": ("(float[1] x) => (float[n] y) { y = odd.Frob (x) }", ("y", "odd::Frob", "no kernel")),
    "an element type": (
        "(double[1,1,4,4] x, double[1,1,3,3] w) => (double[1,1,2,2] y) { y = Conv (x, w) }",
        ("y", "Conv", "only float32"),
    ),
    "an attribute": (
        '(float[2,n,m] x) => (float[2,n] y) { y = Einsum <equation = "bii->bi"> (x) }',
        ("y", "Einsum", "takes a diagonal"),
    ),
    "a type": (
        "(complex64[3] x) => (complex64[3] y) { y = Identity (x) }",
        ("the model", "", "element type complex64"),
    ),
}


@pytest.mark.parametrize("what", CANNOT_RUN)
def test_a_model_that_cannot_run_says_so_before_any_work(tmp_path: Path, what: str):
    text, (node, operator, words) = CANNOT_RUN[what]
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17, "odd": 1]> g {text}'), path)
    shown = json.loads(call("inspect", path, "--device", "host", "--json").stdout)["unsupported"][0]
    assert (shown["node"], shown["op_type"]) == (node, operator) and words in shown["reason"]
    result = call("build", path, *ON_HOST)
    said = result.stderr.replace("\n", " ")
    assert result.exit_code == 2 and words in said and "hint: " in said and "compile" not in said
    assert operator.replace("::", ".") in said


def test_inputs_larger_than_the_machine(tmp_path: Path):
    path = written(
        tmp_path, model([helper.make_node("Relu", ["x"], ["y"])], [("x", [10**6, 10**6])], [("y", [10**6, 10**6])])
    )
    result = call("build", path, "--device", "host", "-o", tmp_path / "b")
    assert result.exit_code == 2 and "too large for this machine" in result.stderr and "--shape" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("build", "m.onnx"), "--device'. A profile: edgeort profiles list"), (("quantize",), "onnx")],
)
def test_what_is_missing_is_told_with_its_help(arguments: tuple[str, ...], words: str):
    result = call(*arguments)
    assert result.exit_code == 2 and "Missing" in result.stderr and words in result.stderr
