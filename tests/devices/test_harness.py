"""edgeort_bench as a program: its arguments, its files, its exit statuses, the same digest everywhere."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeort import compiling, device_profiles, toolchain
from edgeort.bundle import golden
from edgeort.validate.frames import ARRAY, HEAD, MAGIC, SAMPLE
from edgeort.values import Value
from tests.models import mlp

ARCHS = {"AMD64": "x86_64", "arm64": "aarch64"}
HERE = ARCHS.get(platform.machine(), platform.machine())
# (architecture, how to run its programs)
EMULATED = [
    ("aarch64", ("qemu-aarch64-static", "-cpu", "cortex-a53")),
    ("aarch64", ("qemu-aarch64-static", "-cpu", "cortex-a72")),
    ("aarch64", ("qemu-aarch64-static", "-cpu", "cortex-a76")),
    pytest.param("armv7", ("qemu-arm-static", "-cpu", "cortex-a7"), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("plan")
    onnx.save(mlp(), folder / "m.onnx")
    plan, _ = compiling.plan_of(folder / "m.onnx", device_profiles.load("host"))
    (folder / "model.plan").write_bytes(plan.to_bytes())
    return folder / "model.plan", plan.ops


@pytest.fixture(scope="module")
def program(plan: tuple[Path, list[str]]) -> Path:
    return toolchain.harness(toolchain.target("linux", HERE), plan[1])


def run(program: Path, *arguments: object, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    program.chmod(0o755)
    return subprocess.run([*prefix, str(program), *map(str, arguments)], capture_output=True, text=True)


def report(program: Path, *arguments: object, prefix: Sequence[str] = ()) -> dict:
    done = run(program, *arguments, "--json", prefix=prefix)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_reports_every_figure(program: Path, plan: tuple[Path, list[str]]):
    found = report(program, plan[0], "--runs", 7, "--warmup", 1, "--threads", 1)
    latency = found["latency_ms"]
    assert latency["runs"] == 7
    assert 0 <= latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"]
    assert latency["min"] <= latency["mean"]
    assert found["weights_bytes"] == plan[0].stat().st_size
    assert found["arena_bytes"] > 0 and found["threads"] == 1
    assert found["load_ms"] == pytest.approx(found["open_ms"] + found["prepare_ms"], abs=1e-3)
    assert found["outputs"][0]["name"] == "y" and found["outputs"][0]["shape"] == [1, 5]
    assert found["peak_rss_bytes"] <= found["weights_bytes"] + found["arena_bytes"] + (4 << 20)


def test_its_random_inputs_and_digests_are_those_of_python(program: Path, plan: tuple[Path, list[str]], tmp_path: Path):
    made = report(program, plan[0], "--shape", "x=3x8", "--outputs", tmp_path)
    output = np.load(tmp_path / "output0.npy")
    assert output.shape == (3, 5) and made["outputs"][0]["digest"] == golden.digest(output)
    np.save(tmp_path / "input0.npy", golden.random_input(Value("x", "float32", None), 0, (3, 8)))
    assert report(program, plan[0], "--inputs", tmp_path)["digest"] == made["digest"]


def test_data_of_every_type_is_that_of_python(tmp_path: Path):
    names = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT16", "INT32", "INT64", "UINT32", "BOOL")
    types = {name.lower(): getattr(onnx.TensorProto, name) for name in names}
    infos = [
        [helper.make_tensor_value_info(f"{way}_{n}", t, [3, 5]) for n, t in types.items()] for way in ("in", "out")
    ]
    nodes = [helper.make_node("Transpose", [f"in_{name}"], [f"out_{name}"], perm=[1, 0]) for name in types]
    for info in infos[1]:
        info.type.tensor_type.shape.dim[0].dim_value, info.type.tensor_type.shape.dim[1].dim_value = 5, 3
    graph = helper.make_graph(nodes, "g", *infos)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    plan, lowered = compiling.plan_of(tmp_path / "m.onnx", device_profiles.load("host"))
    (tmp_path / "model.plan").write_bytes(plan.to_bytes())
    program = toolchain.harness(toolchain.target("linux", HERE), plan.ops)
    found = report(program, tmp_path / "model.plan", "--outputs", tmp_path)["outputs"]
    for index, value in enumerate(compiling.signature(lowered)[0]):
        want = golden.random_input(value, index, (3, 5)).T
        got = np.load(tmp_path / f"output{index}.npy")
        assert got.dtype == want.dtype and got.tobytes() == np.ascontiguousarray(want).tobytes(), value
        assert found[index]["digest"] == golden.digest(got, value.dtype), value


@pytest.mark.parametrize(("arch", "prefix"), EMULATED)
def test_emulated_arm_gives_the_same_digest(
    program: Path, plan: tuple[Path, list[str]], arch: str, prefix: tuple[str, ...]
):
    if shutil.which(prefix[0]) is None:
        pytest.skip(f"{prefix[0]} is not installed")
    other = toolchain.harness(toolchain.target("linux", arch), plan[1])
    here = report(program, plan[0], "--shape", "x=7x8")["digest"]
    for threads in (1, 3):
        found = report(other, plan[0], "--shape", "x=7x8", "--threads", threads, "--runs", 1, prefix=prefix)
        assert found["digest"] == here


def test_profile_times_every_node(program: Path, plan: tuple[Path, list[str]]):
    rows = report(program, plan[0], "--profile", "--shape", "x=64x8")["profile"]
    assert [row["op"] for row in rows] == ["Gemm", "Gemm"] and all(row["ms"] > 0 for row in rows)


def test_check_passes_then_fails_by_name(program: Path, plan: tuple[Path, list[str]], tmp_path: Path):
    np.save(tmp_path / "input0.npy", np.ones((2, 8), np.float32))
    report(program, plan[0], "--inputs", tmp_path, "--outputs", tmp_path)
    assert report(program, plan[0], "--check", tmp_path)["check"] == "passed"
    wrong = np.load(tmp_path / "output0.npy")
    wrong.view(np.uint32)[1, 2] ^= 1  # the last bit
    np.save(tmp_path / "output0.npy", wrong)
    done = run(program, plan[0], "--check", tmp_path, "--json")
    assert done.returncode == 1 and 'output "y" differs' in done.stderr
    assert json.loads(done.stdout)["check"] == "failed"


def test_check_by_digest_alone(program: Path, plan: tuple[Path, list[str]], tmp_path: Path):
    np.save(tmp_path / "input0.npy", np.ones((2, 8), np.float32))
    digest = report(program, plan[0], "--inputs", tmp_path)["outputs"][0]["digest"]
    (tmp_path / "digests.txt").write_text(f"output0 {digest} y\n")
    assert run(program, plan[0], "--check", tmp_path).returncode == 0
    (tmp_path / "digests.txt").write_text(f"output0 {int(digest, 16) ^ 1:016x} y\n")
    assert run(program, plan[0], "--check", tmp_path).returncode == 1
    (tmp_path / "digests.txt").unlink()
    done = run(program, plan[0], "--check", tmp_path)
    assert done.returncode == 2 and "digests.txt" in done.stderr


def test_strings_are_the_same_or_differ_whatever_sqnr_is_asked(tmp_path: Path):
    text = """<ir_version: 10, opset_import: ["" : 20]> g (string[2] a, string[2] b) => (string[2] c)
      { c = StringConcat (a, b) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    plan, _ = compiling.plan_of(tmp_path / "m.onnx", device_profiles.load("host"))
    (tmp_path / "model.plan").write_bytes(plan.to_bytes())
    program = toolchain.harness(toolchain.target("linux", HERE), plan.ops)
    for index in range(2):
        np.save(tmp_path / f"input{index}.npy", np.array([b"cat", b"horse"]))
    asked = [tmp_path / "model.plan", "--check", tmp_path, "--min-sqnr", 40]
    for strings, status in (([b"catcat", b"horsehorse"], 0), ([b"catcat", b"horsehouse"], 1), ([b"catcat", b""], 1)):
        np.save(tmp_path / "output0.npy", np.array(strings))
        assert run(program, *asked).returncode == status, strings


def test_a_stream_says_that_it_cannot_answer_sequences(tmp_path: Path):
    text = """<ir_version: 10, opset_import: ["" : 20]> g (float[1,8] x) => (seq(float[1,8]) s) {
      s = SequenceConstruct (x) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    plan, _ = compiling.plan_of(tmp_path / "m.onnx", device_profiles.load("host"))
    (tmp_path / "model.plan").write_bytes(plan.to_bytes())
    program = toolchain.harness(toolchain.target("linux", HERE), plan.ops)
    program.chmod(0o755)
    x = npy(GOOD)
    sample = HEAD.pack(MAGIC, SAMPLE, 0) + HEAD.pack(MAGIC, ARRAY, len(x)) + x
    done = subprocess.run([program, tmp_path / "model.plan", "--stream"], input=sample, capture_output=True)
    assert done.returncode == 2 and b"an output is a sequence" in done.stdout


def test_random_sequences_are_empty(tmp_path: Path):
    text = """<ir_version: 10, opset_import: ["" : 20]> g (seq(float[2]) s) => (int64 n) { n = SequenceLength (s) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    plan, _ = compiling.plan_of(tmp_path / "m.onnx", device_profiles.load("host"))
    (tmp_path / "model.plan").write_bytes(plan.to_bytes())
    program = toolchain.harness(toolchain.target("linux", HERE), plan.ops)
    assert run(program, tmp_path / "model.plan", "--shape", "s=0").returncode == 0
    done = run(program, tmp_path / "model.plan", "--shape", "s=3")
    assert done.returncode == 2 and 'input "s" is a sequence' in done.stderr


BAD_ARGUMENTS = [
    ((), "model.plan"),
    (("PLAN", "--frob"), "--frob"),
    (("PLAN", "--runs"), "--runs"),
    (("PLAN", "--runs", "0"), "--runs"),
    (("PLAN", "--threads", "-1"), "--threads"),
    (("PLAN", "--threads", "2x"), "--threads"),
    (("PLAN", "--shape", "x"), "--shape"),
    (("PLAN", "--shape", "x=1xx2"), "--shape"),
    (("PLAN", "--shape", "x=1x2x3"), "rank"),
    (("PLAN", "--shape", "x=1x9"), "dimension 1"),
    (("PLAN", "--shape", "xx=1x8"), 'no input "xx"'),
    (("PLAN", "--isa", "v9000"), "v9000"),
    (("PLAN", "--inputs", "/nowhere"), "/nowhere/input0.npy"),
    (("PLAN", "PLAN"), "one plan"),
    (("/nowhere",), "/nowhere"),
    (("/dev/null",), "/dev/null"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_ARGUMENTS)
def test_bad_arguments_exit_with_2(program: Path, plan: tuple[Path, list[str]], arguments: tuple[str, ...], words: str):
    done = run(program, *(str(plan[0]) if argument == "PLAN" else argument for argument in arguments))
    assert done.returncode == 2 and words in done.stderr and not done.stdout


def npy(header: str, data: bytes = b"\0" * 32, version: int = 1, pad: int = 64) -> bytes:
    text = header.encode()
    text += b" " * (-(10 + len(text) + 1) % pad) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0, len(text) % 256, len(text) // 256]) + text + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8), }"
BAD_FILES = {
    "empty": b"",
    "text": b"hello, this is no array at all",
    "cut header": npy(GOOD)[:40],
    "cut data": npy(GOOD)[:-1],
    "too much data": npy(GOOD) + b"\0",
    "wrong type": npy(GOOD.replace("<f4", "<i4")),
    "big endian": npy(GOOD.replace("<f4", ">f4")),
    "objects": npy(GOOD.replace("<f4", "|O")),
    "fortran": npy(GOOD.replace("False", "True")),
    "no shape": npy(GOOD.replace("shape", "sharp")),
    "negative": npy(GOOD.replace("(1, 8)", "(-1, -8)")),
    "rank": npy(GOOD.replace("(1, 8)", "(1,1,1,1,1,1,1,1,8)")),
    "overflow": npy(GOOD.replace("(1, 8)", "(4611686018427387904, 8)")),
    "endless shape": npy(GOOD.replace("(1, 8), }", "(1, 8")),
    "unaligned": npy(GOOD, pad=1),
    # Two strings of 2^63 + 4 bytes, 2^64 + 8 in all.
    "strings whose size wraps": npy(GOOD.replace("<f4", f"|S{2**63 + 4}").replace("(1, 8)", "(2,)"), b"\0" * 8),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_npy_files_exit_with_2(program: Path, plan: tuple[Path, list[str]], tmp_path: Path, name: str):
    (tmp_path / "input0.npy").write_bytes(BAD_FILES[name])
    done = run(program, plan[0], "--inputs", tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("edgeort_bench: ")


def test_a_good_npy_file_is_read(program: Path, plan: tuple[Path, list[str]], tmp_path: Path):
    (tmp_path / "input0.npy").write_bytes(npy(GOOD))
    assert run(program, plan[0], "--inputs", tmp_path).returncode == 0


def test_an_unwritable_output_folder_exits_with_2(program: Path, plan: tuple[Path, list[str]]):
    done = run(program, plan[0], "--outputs", "/nowhere")
    assert done.returncode == 2 and "/nowhere/output0.npy cannot be written" in done.stderr


def test_help_lists_every_option(program: Path):
    done = run(program, "--help")
    assert done.returncode == 0
    options = "threads runs time warmup interval cores inputs outputs shape check isa profile json"
    for option in options.split():
        assert f"--{option}" in done.stdout
