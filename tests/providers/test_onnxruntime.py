"""Bundles of directml, cuda and tensorrt: their content; with the CPU's kernels of the same runtime they run here."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgeort
from edgeort import bench, model, ort, providers, sample
from edgeort.bundle import open_bundle
from edgeort.checkup import examine
from edgeort.devices import Job, open_device
from edgeort.errors import CheckError, DeviceError, MissingExtraError
from edgeort.pipeline import Wish, build, survey
from edgeort.providers import PROVIDERS, adapted, onnxruntime, probing
from edgeort.providers.onnxruntime import OnnxRuntime
from tests.models import mlp
from tests.providers.on_cpu import OnCpu, request
from tests.reference.build import ROOT

OURS = [provider for provider in PROVIDERS if isinstance(provider, OnnxRuntime)]
DEVICES = [("directml", "windows-laptop"), ("cuda", "jetson-orin-nano"), ("tensorrt", "jetson-orin-nano")]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the libonnxruntime.so of the package")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the sample that runs by ONNX Runtime's CPU kernels."""
    folder = tmp_path_factory.mktemp("here") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers, "PROVIDERS", (*PROVIDERS, OnCpu()))
        result = build(sample.path(), "host", folder, wish=Wish("onnxruntime", required=True))
    assert result.checked_on == "local" and result.max_difference == 0
    assert result.measurement is not None and "CPUExecutionProvider" in result.measurement.isa
    return folder


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "PROVIDERS", (*PROVIDERS, OnCpu()))


def run_py(bundle: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, str(bundle / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def copied(bundle: Path, to: Path) -> Path:
    """An unsealed copy, to be changed."""
    for path in bundle.rglob("*"):
        if path.is_file():
            place = to / path.relative_to(bundle)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
            place.chmod(path.stat().st_mode)
    return to


# ---- here


@on_linux
def test_bench_and_sessions_run_the_bundle(here: Path, known: None):
    images = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    with edgeort.InferenceSession(here) as session:
        (got,) = session.run(None, {"image": images})
    np.testing.assert_array_equal(got, ort.open_session(sample.path()).run(None, {"image": images})[0])
    with open_bundle(here) as bundle:
        found = bench.measure(bundle, open_device(None, bundle.manifest), Job(runs=3, check=True))
    assert found.check == "passed" and found.latency_ms["runs"] == 3


@on_linux
def test_bench_refuses_outputs_that_are_not_the_cpus(here: Path, known: None, tmp_path: Path):
    bundle = copied(here, tmp_path / "b")
    np.save(bundle / "golden/output0.npy", -np.load(bundle / "golden/output0.npy"))
    with open_bundle(here) as opened, pytest.raises(CheckError, match="its SQNR is -.* dB, below 60.0 dB"):
        changed = replace(opened, folder=bundle)
        bench.measure(changed, open_device(None, opened.manifest), Job(runs=1, check=True))


@on_linux
def test_run_py_checks_places_and_times(here: Path):
    done = run_py(here, "--json", "--runs", "4")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["check"] == "passed" and found["sqnr_db"] == 150 and found["latency_ms"]["runs"] == 4
    assert {node["provider"] for node in found["nodes"]} == {"CPUExecutionProvider"}
    assert any(node["op"] == "Conv" for node in found["nodes"])
    text = run_py(here, "--runs", "1").stdout
    assert "nodes on CPUExecutionProvider" in text and "check passed" in text


@on_linux
def test_run_py_says_loudly_that_outputs_are_wrong(here: Path, tmp_path: Path):
    bundle = copied(here, tmp_path / "b")
    np.save(bundle / "golden/output0.npy", np.zeros_like(np.load(bundle / "golden/output0.npy")))
    done = run_py(bundle)
    assert done.returncode == 1
    assert "DO NOT USE THIS PROVIDER HERE: output 'logits' has an SQNR of" in done.stderr
    assert "latency" not in done.stdout


@on_linux
@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ("provider = CUDAExecutionProvider", "here has no CUDAExecutionProvider; it has |CUDAEx.* does not start here"),
        (f"{onnxruntime.NO_FALLBACK} = 1", "fallback to CPU EP has been explicitly disabled"),
    ],
)
def test_run_py_never_falls_back(here: Path, tmp_path: Path, conf: str, why: str):
    if "CUDA" in conf and probing.obstacle("CUDAExecutionProvider") is None:
        pytest.skip("this machine has the GPU")
    bundle = copied(here, tmp_path / "b")
    (bundle / "model/provider.conf").write_text(conf + "\n")
    done = run_py(bundle)
    assert done.returncode == 2 and re.search(why, done.stderr) and not done.stdout


@on_linux
def test_run_py_names_the_nodes_that_a_provider_leaves(here: Path, tmp_path: Path):
    """Azure's provider, which the package here has, takes no node of any of these models."""
    if "AzureExecutionProvider" not in probing.offers().providers:
        pytest.skip("needs an onnxruntime with a provider beside the CPU's")
    bundle = copied(here, tmp_path / "b")
    (bundle / "model/provider.conf").write_text("provider = AzureExecutionProvider\n")
    done = run_py(bundle)
    assert done.returncode == 2
    assert "AzureExecutionProvider would leave 19 nodes to the CPU: " in done.stderr and "(Conv)" in done.stderr
    (bundle / "model/provider.conf").write_text(f"provider = AzureExecutionProvider\n{onnxruntime.NO_FALLBACK} = 0\n")
    done = run_py(bundle)
    assert done.returncode == 0, done.stderr
    assert "was not taken by AzureExecutionProvider: it runs on CPUExecutionProvider" in done.stdout


@on_linux
def test_an_onnxruntime_that_does_not_tell_of_nodes_is_asked_by_a_profile(here: Path):
    code = (
        "import runpy, json\n"
        f"program = runpy.run_path({str(here / 'run.py')!r})\n"
        "program['run'].__globals__['has_placement'] = lambda: False\n"
        "from pathlib import Path\n"
        f"print(json.dumps(program['run'](Path({str(here)!r}), 2, 0, 1)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, usual = json.loads(done.stdout.splitlines()[-1]), json.loads(run_py(here, "--json").stdout)
    assert {node["provider"] for node in found["nodes"]} == {"CPUExecutionProvider"}
    assert {node["op"] for node in found["nodes"]} & {node["op"] for node in usual["nodes"]} >= {"Gemm"}


@on_linux
def test_the_environment_of_run_py_is_what_the_harness_needs(here: Path):
    pairs = dict(line.split("=", 1) for line in run_py(here, "--environment").stdout.splitlines())
    assert pairs["ORT_DISABLE_TELEMETRY"] == "1"
    assert all(Path(place).exists() for place in pairs["EDGEORT_LIBRARIES"].split(os.pathsep))
    arguments = ["bin/edgeort_bench", "model/model.onnx", "--check", "golden", "--min-sqnr", "60", "--runs", "2"]
    done = subprocess.run(arguments, cwd=here, env={**os.environ, **pairs}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "check        passed" in done.stdout


# ---- for devices that are not here


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
        assert all(name == "kernel32.dll" or name.startswith("api-ms-win-crt-") for name in map(str.lower, imported))
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


# ---- settings and refusals


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
    assert "does not run on" in next(p for p in OURS if p.name == "directml").cannot_serve(request("raspberrypi4"))


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


# ---- this machine


def test_probing_tells_what_is_offered_and_what_answers():
    import onnxruntime as real

    offer = probing.offers()
    assert offer.version == real.__version__ and set(offer.providers) == set(real.get_available_providers())
    assert probing.obstacle() is None  # the CPU's kernels get the small model right
    assert (
        probing.obstacle("NoSuchExecutionProvider")
        == f"onnxruntime {offer.version} here has no NoSuchExecutionProvider"
    )
    if "AzureExecutionProvider" in offer.providers:
        assert "would leave 2 nodes to the CPU" in str(probing.obstacle("AzureExecutionProvider"))


def test_a_probe_that_crashes_or_hangs_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    crashing = tmp_path / "crash.py"
    crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(probing, "PROGRAM", crashing)
    assert probing.obstacle.__wrapped__() == "it ended with status -11"
    hanging = tmp_path / "hang.py"
    hanging.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(probing, "PROGRAM", hanging)
    monkeypatch.setattr(probing, "TIMEOUT_S", 0.5)
    assert "did not answer within" in str(probing.obstacle.__wrapped__())


def test_doctor_says_that_bundles_are_made_and_whether_they_run_here():
    found = {finding.what: finding for finding in examine()}
    for provider in OURS:
        finding = found[f"provider {provider.name}"]
        assert finding.works and finding.detail.startswith("makes bundles")
        if reason := provider.not_here():
            assert finding.detail.startswith(f"makes bundles; does not run them: {reason} (edgeort[{provider.name}]")


def test_extras_are_the_versions_that_bundles_name():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    profiles = {"directml": "windows-laptop", "cuda": "intel-nuc", "tensorrt": "intel-nuc"}
    for provider in OURS:
        named = [line.split(";")[0].strip() for line in extras[provider.name]]
        assert named == list(provider.requirements(request(profiles[provider.name]).profile))


@pytest.mark.parametrize("provider", OURS, ids=lambda p: p.name)
def test_on_a_machine_with_the_gpu(provider: OnnxRuntime, tmp_path: Path):
    """Built, run, compared and timed for real."""
    if reason := provider.not_here():
        pytest.skip(f"{provider.name} does not run here: {reason}")
    try:
        result = build(sample.path(), "host", tmp_path / "b", wish=Wish(provider.name, required=True))
    except MissingExtraError as error:
        pytest.skip(str(error))
    assert result.measurement is not None and provider.execution_providers[0] in result.measurement.isa
    assert result.max_difference < 1e-3
    done = run_py(tmp_path / "b", "--json")
    assert done.returncode == 0, done.stderr
    assert {node["provider"] for node in json.loads(done.stdout)["nodes"]} <= set(provider.execution_providers)
