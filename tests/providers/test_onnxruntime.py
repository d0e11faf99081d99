"""Bundles of directml, cuda and tensorrt for devices that are not here: their content, settings, refusals."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeort import model, ort, providers, sample
from edgeort.bundle import open_bundle
from edgeort.devices import open_device
from edgeort.errors import DeviceError
from edgeort.pipeline import Wish, build, survey
from edgeort.providers import adapted, onnxruntime, probing
from edgeort.providers.onnxruntime import OnnxRuntime
from tests.models import mlp
from tests.providers.on_cpu import OnCpu, request

DEVICES = [("directml", "windows-laptop"), ("cuda", "jetson-orin-nano"), ("tensorrt", "jetson-orin-nano")]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the libonnxruntime.so of the package")


@pytest.mark.parametrize(("name", "device"), DEVICES)
def test_a_bundle_is_complete_and_says_that_it_was_not_run(tmp_path: Path, name: str, device: str):
    result = build(sample.path(), device, tmp_path / "b", wish=Wish(name, required=True))
    assert result.provider == name and result.checked_on.startswith("not run on hardware: ")
    assert any("which nodes" in line for line in result.refusals)
    with open_bundle(tmp_path / "b") as bundle:
        manifest = bundle.manifest
        assert manifest.candidates[0]["reason"].startswith("not run on hardware: ")
        assert manifest.candidates[0]["latency_ms"] is None
        read = bundle.folder.joinpath
        assert (
            read("requirements.txt").read_text().splitlines()
            == list(manifest.requirements)
            == list(result.requirements)
        )
        text = read("README.md").read_text()
        assert "**Not run on hardware.**" in text and "run.py" in text and all(r in text for r in manifest.requirements)
        assert read("run.py").read_bytes() == probing.PROGRAM.read_bytes()
        conf = read("model/provider.conf").read_text()
        own = providers.provider(name)
        assert isinstance(own, OnnxRuntime)
        assert f"provider = {', '.join(own.execution_providers)}\n" in conf
        assert "session.disable_cpu_ep_fallback = 1\n" in conf
        golden = np.load(bundle.golden / "output0.npy")
        image = np.load(bundle.golden / "input0.npy")
        (want,) = ort.open_session(read("model/model.onnx")).run(None, {"image": image})
        np.testing.assert_allclose(golden, want, rtol=1e-5, atol=1e-5)
        assert not any(domain.domain for domain in onnx.load(read("model/model.onnx")).functions)


def test_a_pc_without_the_gpu_makes_the_bundle_all_the_same(tmp_path: Path):
    if probing.obstacle("CUDAExecutionProvider") is None:
        pytest.skip("this machine has the GPU")
    result = build(sample.path(), "x86-64", tmp_path / "b", wish=Wish("cuda", required=True))
    assert "not run on hardware: cuda does not run on this machine: " in result.checked_on
    with open_bundle(tmp_path / "b") as bundle, pytest.raises(DeviceError, match="CUDAExecutionProvider"):
        open_device("local", bundle.manifest)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        build(sample.path(), "jetson-orin-nano", tmp_path / name, wish=Wish("tensorrt", required=True))
    files = [sorted(p for p in (tmp_path / name).rglob("*") if p.is_file()) for name in ("a", "b")]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]] and len(files[0]) > 10


def test_the_programs_of_windows_load_no_engine_and_no_compilers_library(tmp_path: Path):
    build(sample.path(), "windows-laptop", tmp_path / "b", wish=Wish("directml", required=True))
    for file in ("lib/edgeort.dll", "bin/edgeort_bench.exe"):
        machine, imported, exported = read_pe((tmp_path / "b" / file).read_bytes())
        assert machine == 0x8664
        names = [*map(str.lower, imported)]
        assert "kernel32.dll" in names and all(name.startswith(("kernel32.dll", "api-ms-win-crt-")) for name in names)
        if file.startswith("lib"):
            assert {"edgeort_open", "edgeort_run", "edgeort_output", "edgeort_close", "edgeort_abi"} <= set(exported)


def read_pe(raw: bytes) -> tuple[int, list[str], list[str]]:
    """Machine, names of the DLLs that are imported, names that are exported (Microsoft, PE Format)."""
    (start,) = struct.unpack_from("<I", raw, 0x3C)
    assert raw[:2] == b"MZ" and raw[start : start + 4] == b"PE\0\0"
    machine, sections, optional = (*struct.unpack_from("<HH", raw, start + 4), start + 24)
    (optional_bytes,) = struct.unpack_from("<H", raw, start + 20)
    assert struct.unpack_from("<H", raw, optional) == (0x20B,)
    table = [struct.unpack_from("<8sIIII", raw, optional + optional_bytes + 40 * i) for i in range(sections)]

    def at(address: int) -> int:
        for _, size, first, length, place in table:
            if first <= address < first + max(size, length):
                return address - first + place
        raise AssertionError(f"{address:#x} is in no section")

    def text(address: int) -> str:
        place = at(address)
        return raw[place : raw.index(b"\0", place)].decode()

    export, _, imports, _ = struct.unpack_from("<IIII", raw, optional + 112)
    imported, exported, entry = [], [], at(imports)
    while any(found := struct.unpack_from("<5I", raw, entry)):
        imported.append(text(found[3]))
        entry += 20
    if export:
        count, _, names = struct.unpack_from("<III", raw, at(export) + 24)
        exported = [text(struct.unpack_from("<I", raw, at(names) + 4 * i)[0]) for i in range(count)]
    return machine, imported, exported


@pytest.mark.slow
def test_the_program_of_windows_runs_under_wine(tmp_path: Path):
    """With onnxruntime.dll of the package that the bundle names, on the CPU: DirectML needs a GPU."""
    wine = next(
        (path for path in ("/usr/lib/wine/wine64", shutil.which("wine64")) if path and Path(path).exists()), None
    )
    if wine is None:
        pytest.skip("needs wine: apt install wine wine64")
    build(sample.path(), "windows-laptop", tmp_path / "b", wish=Wish("directml", required=True))

    def run(libraries: str) -> tuple[int, str]:
        quiet = {"WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml="}
        environment = {**os.environ, **quiet, "EDGEORT_LIBRARIES": libraries}
        command = [wine, "bin/edgeort_bench.exe", "model/model.onnx", "--check", "golden", "--min-sqnr", "60"]
        with (tmp_path / "said").open("wb") as said:  # a pipe would be kept open by what Wine leaves running
            status = subprocess.run(
                command, cwd=tmp_path / "b", env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            ).returncode
        return status, (tmp_path / "said").read_text(errors="replace")

    status, said = run("Z:\\nowhere")
    assert status == 2 and "ONNX Runtime's library (onnxruntime.dll) is not found" in said
    package = os.environ.get("EDGEORT_TEST_DIRECTML", "")  # where onnxruntime/capi of the unpacked Windows wheel is
    if not package:
        pytest.skip(f"the rest needs EDGEORT_TEST_DIRECTML, a folder with onnxruntime-directml {onnxruntime.DIRECTML}")
    libraries = "Z:" + package.replace("/", "\\") + "\\onnxruntime\\capi"
    status, said = run(libraries)
    assert status == 2 and f"ONNX Runtime {onnxruntime.DIRECTML}: DmlExecutionProvider: " in said
    (tmp_path / "b/model/provider.conf").write_text("library = onnxruntime.dll\n")
    status, said = run(libraries)
    assert status == 0 and "CPUExecutionProvider 19 nodes" in said and "check        passed" in said


def quantised(zero_point: np.ndarray) -> onnx.ModelProto:
    """x -> QuantizeLinear -> DequantizeLinear -> y."""
    constants = [
        onnx.numpy_helper.from_array(np.array(0.1, np.float32), "scale"),
        onnx.numpy_helper.from_array(zero_point, "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="into"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="out"),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def graph_of(proto: onnx.ModelProto, folder: Path):
    onnx.save(proto, folder / "m.onnx")
    return model.load(folder / "m.onnx")


def test_tensorrt_uses_int8_and_float16_where_the_model_has_them(tmp_path: Path):
    tensorrt, asked = providers.provider("tensorrt"), request("jetson-orin-nano")
    assert isinstance(tensorrt, OnnxRuntime)
    halves = mlp()
    halves.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.float16), "halves"))
    found = {}
    for name, proto in (("float", mlp()), ("int8", quantised(np.array(0, np.int8))), ("half", halves)):
        settings = tensorrt.settings(graph_of(proto, tmp_path), asked)
        found[name] = [settings[f"TensorrtExecutionProvider.trt_{kind}_enable"] for kind in ("int8", "fp16")]
    assert found == {"float": ["0", "0"], "int8": ["1", "0"], "half": ["0", "1"]}


def test_tensorrt_is_told_of_the_shapes_where_they_are_bounded(tmp_path: Path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    tensorrt, asked = providers.provider("tensorrt"), request("jetson-orin-nano")
    assert isinstance(tensorrt, OnnxRuntime)
    free = tensorrt.settings(model.load(tmp_path / "m.onnx"), asked)
    assert not [key for key in free if "profile" in key]
    bounded = tensorrt.settings(model.load(tmp_path / "m.onnx", shapes={"x": ("2-9", 8)}), asked)
    found = {kind: bounded[f"TensorrtExecutionProvider.trt_profile_{kind}_shapes"] for kind in ("min", "opt", "max")}
    assert found == {"min": "x:2x8", "opt": "x:9x8", "max": "x:9x8"}


def test_engines_are_kept_apart_by_weights_gpu_and_version(tmp_path: Path):
    tensorrt, asked = providers.provider("tensorrt"), request("jetson-orin-nano")
    assert isinstance(tensorrt, OnnxRuntime)
    key = "TensorrtExecutionProvider.trt_engine_cache_path"
    first, second = (tensorrt.settings(graph_of(mlp(seed=seed), tmp_path), asked)[key] for seed in (0, 1))
    assert first != second
    assert first.startswith("{cache}/tensorrt/") and first.endswith("-{gpu}-onnxruntime-{version}")


@pytest.mark.parametrize(
    ("zero_point", "refused"), [(np.array(0, np.int8), 0), (np.array(3, np.int8), 2), (np.array(0, np.uint8), 2)]
)
def test_tensorrt_refuses_asymmetric_quantisation(tmp_path: Path, zero_point: np.ndarray, refused: int):
    found = providers.provider("tensorrt").refusals(
        graph_of(quantised(zero_point), tmp_path), request("jetson-orin-nano")
    )
    assert [r.node for r in found if "zero points of 0 only" in r.reason] == ["into", "out"][:refused]


def test_options_of_the_user_stand_before_ours(tmp_path: Path):
    cuda = providers.provider("cuda")
    assert isinstance(cuda, OnnxRuntime)
    graph = graph_of(mlp(), tmp_path)
    asked = request("jetson-orin-nano", {"use_tf32": "1", "session.disable_cpu_ep_fallback": "0"})
    settings = cuda.settings(graph, asked)
    assert settings["CUDAExecutionProvider.use_tf32"] == "1" and settings["session.disable_cpu_ep_fallback"] == "0"
    assert cuda.min_sqnr_db(graph, settings) == onnxruntime.REDUCED_DB
    assert cuda.min_sqnr_db(graph, cuda.settings(graph, request("jetson-orin-nano"))) == adapted.FLOAT_DB


def test_where_a_provider_does_not_run_nothing_is_said_of_nodes(tmp_path: Path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    rows = {row.provider: row for row in survey(request("windows-laptop").profile, tmp_path / "m.onnx")}
    if probing.obstacle("DmlExecutionProvider") is None:
        pytest.skip("DirectML runs here")
    (refusal,) = rows["directml"].refusals
    assert refusal.node == "" and "not known before it runs on the device" in refusal.reason
    assert "does not run on windows/x86_64" not in rows["directml"].reason
    assert "does not run on" in providers.provider("directml").cannot_serve(request("raspberrypi4"))


@on_linux
def test_where_a_provider_runs_the_nodes_that_it_leaves_are_named(tmp_path: Path):
    class Azure(OnCpu):
        execution_providers = ("AzureExecutionProvider",)

        def not_here(self) -> str | None:
            return None

    graph = graph_of(mlp(), tmp_path)
    assert OnCpu().refusals(graph, request("host"))[0].reason == "ONNX Runtime gives it to CPUExecutionProvider"
    found = Azure().refusals(graph, request("host"))
    if "AzureExecutionProvider" in probing.offers().providers:
        assert {r.op for r in found} >= {"Gemm"} and all("gives it to CPUExecutionProvider" in r.reason for r in found)
