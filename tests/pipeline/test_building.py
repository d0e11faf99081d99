"""build(): from a model to a checked bundle, and what stops it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import edgeort
from edgeort import device_profiles, pipeline
from edgeort.bundle import open_bundle
from edgeort.device_profiles import Budget
from edgeort.errors import (
    BudgetError,
    CheckError,
    DeviceError,
    InputError,
    OutputError,
    ProfileError,
    ShapeError,
    UnsupportedError,
)
from edgeort.passes import PASSES
from edgeort.pipeline import checking
from edgeort.pipeline.choosing import Wish
from tests.models import HOST, conv, mlp, model

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-aarch64-static") is None, reason="qemu-aarch64-static is not installed"
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("model") / "mlp.onnx"
    onnx.save(mlp(), found)
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@needs_qemu
def test_builds_a_checked_bundle_for_a_raspberry_pi(path: Path, tmp_path: Path):
    seen: list[str] = []
    result = edgeort.build(path, "raspberrypi4", tmp_path / "b", progress=seen.append)
    stages = [line for line in seen if not line.startswith("compiling: ")]  # where the cache was empty
    assert stages == ["load", "clean", "passes", "lower", "compile", "check", "bundle"] == list(result.seconds)
    assert result.checked_on == "emulated (cortex-a72)" and result.max_difference <= 1e-6
    with open_bundle(result.bundle) as bundle:
        manifest = bundle.manifest
        assert (manifest.device, manifest.target.os, manifest.target.arch) == ("raspberrypi4", "linux", "aarch64")
        assert manifest.threads == 4 and manifest.target.qemu == "cortex-a72"
        assert [(node.op, node.provider, node.precision) for node in manifest.nodes] == [("Gemm", "cpu", "f32")] * 2
        assert {"ziglang", "onnx"} <= set(manifest.tools)
        expected = {"model.plan", "lib/libedgeort.so", "bin/edgeort_bench", "include/edgeort.h", "licences/NOTICE.txt"}
        expected |= {"licences/sbom.cdx.json", "lib/cmake/edgeort/edgeort-config.cmake", "lib/pkgconfig/edgeort.pc"}
        expected |= {"python/edgeort_model.py"}
        assert expected <= set(manifest.files)
        assert {f"golden/{name}" for name in ("input0.npy", "output0.npy", "digests.txt")} <= set(manifest.files)


@needs_qemu
def test_golden_outputs_are_the_same_for_every_device(path: Path, tmp_path: Path):
    devices = ("host", "raspberrypi3", "raspberrypi5", "android-arm64", "macbook-m")
    kept = set()
    for device in devices:
        result = edgeort.build(path, device, tmp_path / device)
        kept.add(tuple((result.bundle / "golden" / name).read_bytes() for name in ("digests.txt", "output0.npy")))
    assert len(kept) == 1


def test_same_input_gives_the_same_bytes(path: Path, tmp_path: Path):
    first, second = (edgeort.build(path, HOST, tmp_path / name).bundle for name in "ab")
    assert tree(first) == tree(second)


def test_a_session_runs_the_bundle(path: Path, tmp_path: Path):
    x = np.random.default_rng(3).standard_normal((4, 8)).astype(np.float32)
    want = edgeort.InferenceSession(path).run(None, {"x": x})[0]
    for name in ("b", "b.zip"):
        result = edgeort.build(path, HOST, tmp_path / name)
        with edgeort.InferenceSession(result.bundle) as session:
            assert session.run(None, {"x": x})[0].tobytes() == want.tobytes()


def test_a_session_runs_the_bundle_of_another_machine(path: Path, tmp_path: Path):
    result = edgeort.build(path, "macbook-m", tmp_path / "b")
    assert "no emulator for macos/aarch64" in result.checked_on and result.measurement is None
    x = np.ones((2, 8), np.float32)
    with edgeort.InferenceSession(result.bundle) as session:
        assert (
            session.run(None, {"x": x})[0].tobytes() == edgeort.InferenceSession(path).run(None, {"x": x})[0].tobytes()
        )


def test_without_an_emulator_the_same_plan_is_checked_here(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = edgeort.build(path, "raspberrypi-zero-2w", tmp_path / "b")
    assert "qemu" in result.checked_on and "apt install qemu-user-static" in result.checked_on
    assert result.max_difference <= 1e-6


def test_shapes_are_fixed_in_the_bundle(path: Path, tmp_path: Path):
    result = edgeort.build(path, HOST, tmp_path / "b", shapes={"x": (3, 8)})
    with open_bundle(result.bundle) as bundle:
        assert bundle.manifest.inputs[0].shape == (3, 8) and bundle.manifest.outputs[0].shape == (3, 5)
        assert np.load(bundle.golden / "input0.npy").shape == (3, 8)


def test_io_layout_nhwc_turns_inputs_and_outputs(tmp_path: Path):
    source = conv(tmp_path)
    result = edgeort.build(source, HOST, tmp_path / "b", io_layout="nhwc", shapes={"x": (1, 3, 8, 6)})
    assert result.max_difference <= 1e-5
    x = np.random.default_rng(0).standard_normal((1, 8, 6, 3)).astype(np.float32)
    with edgeort.InferenceSession(result.bundle) as session:
        assert session.get_inputs()[0].shape == [1, 8, 6, 3]
        (y,) = session.run(None, {"x": x})
    (want,) = onnxruntime.InferenceSession(source).run(None, {"x": x.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(y.transpose(0, 3, 1, 2), want, rtol=1e-4, atol=1e-4)


def test_stages_are_models_that_onnx_runtime_runs(tmp_path: Path):
    result = edgeort.build(conv(tmp_path), HOST, tmp_path / "b", keep_stages=True)
    plain = edgeort.build(conv(tmp_path), HOST, tmp_path / "plain")
    assert tree(result.bundle) == tree(plain.bundle)
    stages = sorted((tmp_path / "b.stages").glob("*.onnx"))
    assert [path.name for path in stages][:3] == ["00-load.onnx", "01-clean.onnx", f"02-{PASSES[0].__name__}.onnx"]
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    outputs = [onnxruntime.InferenceSession(stage).run(None, {"x": x})[0] for stage in stages]
    for output in outputs[1:]:
        np.testing.assert_allclose(output, outputs[0], rtol=1e-5, atol=1e-5)


def test_a_wrong_output_fails_the_check_and_leaves_nothing(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edgeort.validate import validation

    honest = validation.reference_outputs
    monkeypatch.setattr(validation, "reference_outputs", lambda *a, **k: [y + np.float32(0.1) for y in honest(*a)])
    with pytest.raises(CheckError, match="output 'y' is not ONNX Runtime's: it differs by"):
        edgeort.build(path, HOST, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_budget_refuses_the_build(path: Path, tmp_path: Path):
    small = dataclasses.replace(HOST, budget=Budget(size_kb=10, latency_ms=1000))
    with pytest.raises(BudgetError, match=r"size_kb is [0-9.]+ KiB, .*% over the budget of 10") as caught:
        pipeline.build(path, small, tmp_path / "b")
    assert caught.value.exit_code == 1 and caught.value.hint
    assert list(tmp_path.iterdir()) == []
    kept = pipeline.build(path, dataclasses.replace(HOST, budget=Budget(latency_ms=1000)), tmp_path / "b")
    assert [(v.budget, v.is_kept) for v in kept.budgets] == [("latency_ms", True)]


def test_emulated_times_judge_nothing(path: Path, tmp_path: Path):
    pi = device_profiles.load("raspberrypi4")
    result = pipeline.build(path, dataclasses.replace(pi, budget=Budget(latency_ms=0.001)), tmp_path / "b")
    assert [verdict.is_kept for verdict in result.budgets] in ([None], [])


def with_unknown_operator() -> onnx.ModelProto:
    nodes = [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Frob", ["h"], ["y"], domain="odd", name="n7")]
    found = model(nodes, [("x", [2])], [("y", [2])])
    found.opset_import.append(helper.make_opsetid("odd", 1))
    return found


@pytest.mark.parametrize(
    ("device", "options", "error", "words"),
    [
        ("raspberypi4", {}, ProfileError, "raspberrypi4"),
        ("iphone15", {"wish": Wish("coreml", required=True)}, ShapeError, "Core ML wants the range"),
        ("host", {"shapes": {"q": (1, 8)}}, ShapeError, "no input 'q'"),
        ("host", {"shapes": {"x": (1, 9)}}, ShapeError, "does not fit"),
    ],
)
def test_bad_arguments_leave_nothing(path: Path, tmp_path: Path, device: str, options: dict, error: type, words: str):
    with pytest.raises(error, match=words):
        edgeort.build(path, device, tmp_path / "deep" / "b", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_operator_without_kernel_is_named(tmp_path: Path):
    onnx.save(with_unknown_operator(), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=r"n7.*odd\.Frob"):
        edgeort.build(tmp_path / "m.onnx", HOST, tmp_path / "b")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]


def test_a_place_in_use_is_refused_before_any_work(path: Path, tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/mine.txt").write_text("mine")
    seen: list[str] = []
    with pytest.raises(OutputError, match="is not a bundle"):
        edgeort.build(path, HOST, tmp_path / "b", progress=seen.append)
    assert not seen and (tmp_path / "b/mine.txt").exists()


@pytest.mark.skipif("v3" not in HOST.cpu.isa, reason="needs an x86-64 machine")
def test_the_isa_level_is_that_of_the_library(path: Path, tmp_path: Path):
    """A library of v3 alone runs its v3 kernels on a better CPU, too, and says so."""
    result = edgeort.build(path, "x86-64", tmp_path / "b")
    assert result.measurement is not None and result.measurement.isa == "v3"


def test_messages_name_the_bundle_to_be(tmp_path: Path):
    """The run that checks a bundle happens elsewhere, at a place that nobody knows."""
    node = helper.make_node("NonMaxSuppression", ["x", "x"], ["y"], name="nms")
    graph = helper.make_graph([node], "g", [info("x", 1)], [info("y", 7)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    with pytest.raises(DeviceError) as caught:
        edgeort.build(tmp_path / "m.onnx", HOST, tmp_path / "b")
    assert str(caught.value).startswith(f"{tmp_path / 'b'}: the harness failed") and '"nms"' in str(caught.value)


def info(name: str, dtype: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, [None, 2, 4] if dtype == 1 else [None, 3])


def test_a_full_temporary_folder_has_a_hint_of_its_own(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> Path:
        raise OutputError("no space", hint="name another place with -o")

    monkeypatch.setattr(checking, "write_bundle", full)
    with pytest.raises(OutputError, match="no space") as caught:
        edgeort.build(path, HOST, tmp_path / "b")
    assert caught.value.hint == "set TMPDIR to a folder with room"


def test_golden_inputs_that_are_given(path: Path, tmp_path: Path):
    x = np.linspace(-3, 3, 24, dtype=np.float32).reshape(3, 8)
    result = edgeort.build(path, HOST, tmp_path / "b", inputs={"x": x})
    np.testing.assert_array_equal(np.load(result.bundle / "golden/input0.npy"), x)
    assert np.load(result.bundle / "golden/output0.npy").shape == (3, 5)
    with pytest.raises(InputError, match="the model has no input 'z'"):
        edgeort.build(path, HOST, tmp_path / "c", inputs={"z": x})
    with pytest.raises(InputError, match="must be float32"):
        edgeort.build(path, HOST, tmp_path / "c", inputs={"x": x.astype(np.float64)})
    assert not (tmp_path / "c").exists()


def test_without_a_race_the_bytes_are_the_same(path: Path, tmp_path: Path):
    """Rows of providers that could not be are kept, times of the only one that ran are not."""
    both = dataclasses.replace(HOST, runtime=dataclasses.replace(HOST.runtime, providers=("cpu", "coreml")))
    first, second = (edgeort.build(path, both, tmp_path / name) for name in "ab")
    assert tree(first.bundle) == tree(second.bundle)
    with open_bundle(first.bundle) as bundle:
        rows = {row["provider"]: row for row in bundle.manifest.candidates}
    assert rows["cpu"]["chosen"] and rows["cpu"]["latency_ms"] is None
    assert "does not run on linux" in rows["coreml"]["reason"]
    assert first.candidates[0].latency_ms is not None


def test_a_recurrent_model_that_another_quantiser_made(tmp_path: Path):
    """Its operator rounds the state at every step, ours does not: the answers are compared as those of int8."""
    tools, rng, hidden = pytest.importorskip("onnxruntime.quantization"), np.random.default_rng(0), 16
    weights = [
        numpy_helper.from_array((rng.standard_normal(shape) / 3).astype(np.float32), name)
        for name, shape in (("w", (1, 4 * hidden, 8)), ("r", (1, 4 * hidden, hidden)))
    ]
    lstm = helper.make_node("LSTM", ["x", "w", "r"], ["y"], name="lstm", hidden_size=hidden)
    onnx.save(model([lstm], [("x", [6, 1, 8])], [("y", [6, 1, 1, hidden])], weights), tmp_path / "m.onnx")
    tools.quantize_dynamic(tmp_path / "m.onnx", tmp_path / "q.onnx")
    assert [node.op_type for node in onnx.load(tmp_path / "q.onnx").graph.node] == ["DynamicQuantizeLSTM"]
    (found,) = edgeort.build(tmp_path / "q.onnx", HOST, tmp_path / "b").comparisons
    assert found.sqnr_db is not None and found.sqnr_db > 30
