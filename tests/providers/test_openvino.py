"""OpenVINO's bundles: run through the C API of edgeort.h, by sessions and by their harness."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

import edgeort
from edgeort.bundle import open_bundle
from edgeort.engine import Engine
from edgeort.errors import BundleError, CheckError, DeviceError, InputError, PlanError
from edgeort.pipeline import Accuracy, Wish
from edgeort.probing.networks import Network
from tests.models import HOST, mlp, model
from tests.providers.support import noise_db, session

pytest.importorskip("openvino")
WISH = Wish("openvino", required=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with m.onnx and its bundle b."""
    folder = tmp_path_factory.mktemp("openvino")
    onnx.save(mlp(), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", "host", folder / "b", wish=WISH)
    return folder


def harness(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with open_bundle(bundle) as opened:
        command = [str(opened.harness), str(opened.artefact), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_holds_its_engine_and_the_precision_is_set(place: Path):
    with open_bundle(place / "b") as bundle:
        libraries = {name for name in bundle.manifest.files if re.fullmatch("lib/[^/]+", name)}
        assert len(libraries) == 6 and not bundle.manifest.requirements
        assert "INFERENCE_PRECISION_HINT = f32" in (bundle.folder / "model/provider.conf").read_text()
        assert {node.precision for node in bundle.manifest.nodes} == {"float32"}
        assert "oneTBB" in (bundle.folder / "licences/NOTICE.txt").read_text()
    assert edgeort.InferenceSession(place / "b", threads=1).stats.isa == "OpenVINO CPU, f32"


def test_free_dimensions(place: Path):
    for rows in (1, 2, 7):
        x = np.random.default_rng(rows).standard_normal((rows, 8)).astype(np.float32)
        assert noise_db(place / "b", place / "m.onnx", {"x": x}) > 100


def test_bad_inputs_are_refused_and_the_session_lives_on(place: Path):
    with session(place / "b") as found:
        with pytest.raises(InputError, match="float32"):
            found.run(None, {"x": np.zeros((1, 8))})
        with pytest.raises(InputError, match=r"\[1, 9\]"):
            found.run(None, {"x": np.zeros((1, 9), np.float32)})
        assert found.run(None, {"x": np.zeros((1, 8), np.float32)})[0].shape == (1, 5)


def test_integers_in_and_out(tmp_path: Path):
    table = onnx.numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "t")
    nodes = [
        helper.make_node("Gather", ["t", "i"], ["found"], name="look"),
        helper.make_node("Mul", ["found", "scale"], ["rows"], name="scaled"),
        helper.make_node("ReduceSum", ["rows"], ["sum"], keepdims=0, name="sum"),
        helper.make_node("Cast", ["rows"], ["whole"], to=TensorProto.INT32, name="cast"),
    ]
    inputs = [
        helper.make_tensor_value_info("i", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
    ]
    outputs = [
        helper.make_tensor_value_info("sum", TensorProto.FLOAT, []),
        helper.make_tensor_value_info("whole", TensorProto.INT32, ["n", 3]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [table])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(proto, tmp_path / "m.onnx")
    edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", wish=WISH)
    with session(tmp_path / "b") as found:
        total, whole = found.run(None, {"i": np.array([3, 0, 1]), "scale": np.array(2, np.float32)})
    assert total.shape == () and total == 2 * (9 + 10 + 11 + 0 + 1 + 2 + 3 + 4 + 5)
    np.testing.assert_array_equal(whole, [[18, 20, 22], [0, 2, 4], [6, 8, 10]])


def test_int8(tmp_path: Path):
    onnx.save(mlp(features=64, hidden=64), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32))
    asked = Accuracy("int8", tmp_path / "x.npy")
    result = edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", accuracy=asked, wish=WISH)
    assert result.precisions == {"int8": 2, "float32": 1} or result.precisions == {"int8": 2}
    assert result.comparisons[0].sqnr_db is not None


def test_the_harness_checks_by_nearness(place: Path, tmp_path: Path):
    golden = str(place / "b/golden")
    near = harness(place / "b", "--check", golden, "--min-sqnr", "60", "--json", "--threads", "1")
    assert near.returncode == 0 and json.loads(near.stdout)["check"] == "passed"
    shutil.copytree(golden, tmp_path / "golden")
    output = np.load(tmp_path / "golden/output0.npy")
    np.save(tmp_path / "golden/output0.npy", output + 0.01 * np.abs(output).max())
    far = harness(place / "b", "--check", str(tmp_path / "golden"), "--min-sqnr", "60")
    assert far.returncode == 1 and 'output "y" differs: its SQNR is' in far.stderr
    np.save(tmp_path / "golden/output0.npy", np.full_like(output, np.nan))
    assert "-inf dB" in harness(place / "b", "--check", str(tmp_path / "golden"), "--min-sqnr", "60").stderr


def test_settings_of_the_engine(place: Path, tmp_path: Path):
    wish = Wish("openvino", required=True, options={"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": "1"})
    try:
        result = edgeort.build(place / "m.onnx", "host", tmp_path / "b", wish=wish)
    except CheckError as error:  # bfloat16 was used, and says so
        assert "differs by" in str(error)
    else:  # a CPU without bfloat16
        assert result.provider == "openvino"
    with pytest.raises(DeviceError, match="NOSUCH"):
        edgeort.build(place / "m.onnx", "host", tmp_path / "c", wish=Wish("openvino", True, {"NOSUCH": "1"}))
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("text", ["nonsense\n", "= x\n", "k = v\n" * 65, "x" * 70_000])
def test_malformed_settings_are_refused(place: Path, tmp_path: Path, text: str):
    shutil.copytree(place / "b", tmp_path / "b", symlinks=True)
    (tmp_path / "b/model/provider.conf").write_text(text)
    with pytest.raises(PlanError, match=r"provider\.conf beside it is missing or malformed"):
        Engine(tmp_path / "b/lib/libedgeort.so", tmp_path / "b/model/model.xml")


def test_a_missing_engine_is_said(place: Path, tmp_path: Path):
    for name in ("bin/edgeort_bench", "model/model.xml", "model/model.bin", "model/provider.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(place / "b" / name, tmp_path / name)
    command = [str(tmp_path / "bin/edgeort_bench"), str(tmp_path / "model/model.xml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "is not found: pip install openvino, and set EDGEORT_LIBRARIES" in done.stderr
    here = {"EDGEORT_LIBRARIES": f"/nowhere:{place / 'b/lib'}"}
    assert subprocess.run(command, capture_output=True, timeout=60, env=here).returncode == 0


def test_a_damaged_model_is_refused(place: Path, tmp_path: Path):
    shutil.copytree(place / "b", tmp_path / "b")
    (tmp_path / "b/model/model.xml").write_text("<net")
    with pytest.raises(PlanError, match="OpenVINO: "):
        Engine(tmp_path / "b/lib/libedgeort.so", tmp_path / "b/model/model.xml")


def test_another_machine_needs_the_package(place: Path, tmp_path: Path):
    result = edgeort.build(place / "m.onnx", "windows-laptop", tmp_path / "b", wish=WISH)
    assert result.requirements[0].startswith("openvino==") and result.checked_on.startswith("not run on hardware")
    with open_bundle(tmp_path / "b") as bundle:
        assert (bundle.folder / "requirements.txt").read_text().startswith("openvino==")
        assert (bundle.folder / "golden/output0.npy").exists()
    with pytest.raises(BundleError, match="runs by openvino on windows/x86_64, not on this machine"):
        edgeort.InferenceSession(tmp_path / "b")


def test_an_operator_that_it_lacks_is_cpus(tmp_path: Path):
    nodes = [helper.make_node("Det", ["x"], ["y"], name="d")]
    onnx.save(model(nodes, [("x", [2, 3, 3])], [("y", [2])]), tmp_path / "m.onnx")
    result = edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b", wish=Wish("openvino"))
    assert result.provider == "cpu"
    refused = next(row for row in result.candidates if row.provider == "openvino")
    assert [r.node for r in refused.refusals] == ["d"]


def test_node_times_are_the_engines(place: Path):
    done = harness(place / "b", "--profile", "--json", "--runs", "5", "--threads", "1")
    nodes = json.loads(done.stdout)["profile"]
    assert nodes and all(node["name"] and node["op"] for node in nodes)
    assert sum(node["ms"] for node in nodes) > 0


def test_products_that_round_their_rows_are_judged_as_int8(tmp_path: Path):
    """Rounding to integers flips where sums differ in the last bit: such a model is no float model."""
    net = Network(quantised=False)
    x = net.begin("n", (1, 4, 32))
    net.quantised = True
    net.end(net.op("Relu", net.linear(x, 32, 48)))
    ir.save(net.model(), tmp_path / "q.onnx")
    result = edgeort.build(tmp_path / "q.onnx", HOST, tmp_path / "b", wish=WISH)
    assert result.precisions["int8"] == 1 and (result.comparisons[0].sqnr_db or 0) > 20
