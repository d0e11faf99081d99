"""Models that `quantize` and ONNX Runtime wrote, in sessions and builds."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

import edgeort
from edgeort import sample
from edgeort.bundle import open_bundle
from edgeort.comparison import sqnr_db
from edgeort.ort import open_session
from edgeort.quantize import Form, Options, quantize
from tests.cli.support import call
from tests.fuzz.quantised import quantised_network
from tests.kernels.support import run_everywhere
from tests.quantize.models import mobile, samples, save

RNG = np.random.default_rng(23)
STEP_DB = 35  # a few results of another rounding


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged sample in int8."""
    folder = tmp_path_factory.mktemp("digits")
    data = RNG.uniform(0, 1, (16, 1, 8, 8)).astype(np.float32)
    np.savez(folder / "data.npz", image=data)
    quantize(sample.path(), folder / "int8.onnx", data=folder / "data.npz", options=Options())
    return folder / "int8.onnx"


def reference(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)


def test_a_session_runs_products_on_integers(digits: Path) -> None:
    with edgeort.InferenceSession(digits) as session:
        feeds = {"image": RNG.uniform(0, 1, (1, 1, 8, 8)).astype(np.float32)}
        (got,), (want,) = session.run(None, feeds), reference(digits, feeds)
        assert sqnr_db(got, want) > STEP_DB
        ops = Counter(node.op for node in session.nodes)
    float_products = ops["Conv"] + ops["StemConv"] + ops["Gemm"] + ops["DepthwiseConv"] + ops["WinogradConv"]
    assert float_products == 0 and ops["QConv"] + ops["QDepthwiseConv"] + ops["QGemm"] >= 3


def test_a_network_with_free_sizes(tmp_path: Path) -> None:
    """Everything is within a few steps, and nothing but what is quantised next is float32."""
    path = tmp_path / "network.onnx"
    onnx.save(quantised_network(), path)
    with edgeort.InferenceSession(path, threads=2) as session:
        for size in ((1, 3, 32, 32), (2, 3, 17, 40)):
            feeds = {"x": RNG.normal(size=size).astype(np.float32)}
            got, want = session.run(None, feeds), reference(path, feeds)
            assert got[1].dtype == np.uint8
            assert np.abs(got[1].astype(int) - want[1]).max() <= 2  # a step of what came before, and one of the sum
            assert np.mean(got[1] != want[1]) < 0.02
            assert sqnr_db(got[0], want[0]) > STEP_DB
        ops = Counter(node.op for node in session.nodes)
    assert all(ops[name] == 1 for name in ("QStemConv", "QConv", "QDepthwiseConv", "QGemm"))


def test_scales_for_channels(tmp_path: Path) -> None:
    """A depthwise convolution that reads them is one of integers, and so is what writes them."""
    path = tmp_path / "network.onnx"
    onnx.save(quantised_network(), path)
    scales = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    assert len(set(scales["r_s"])) == 24
    with edgeort.InferenceSession(path) as session:
        assert not {"Conv", "DepthwiseConv", "StemConv"} & {node.op for node in session.nodes}


def test_equal_bytes_at_every_level_and_number_of_threads(tmp_path: Path) -> None:
    run_everywhere(quantised_network(), [RNG.normal(size=(1, 3, 61, 30)).astype(np.float32)], tmp_path)


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-aarch64-static is not installed")
def test_a_build_says_what_is_int8(digits: Path, tmp_path: Path) -> None:
    """On another architecture, where the bytes in memory are others."""
    result = edgeort.build(digits, "raspberrypi4", tmp_path / "b")
    assert result.checked_on.startswith("emulated")
    assert min(c.sqnr_db or 0.0 for c in result.comparisons) > STEP_DB
    with open_bundle(result.bundle) as bundle:
        precisions = {node.op: node.precision for node in bundle.manifest.nodes}
        assert precisions["QConv"] == precisions["QGemm"] == "int8" and precisions["Elementwise"] == "f32"
        assert not any(node.reason for node in bundle.manifest.nodes)


def test_inspect_says_why_a_product_is_float(digits: Path, tmp_path: Path) -> None:
    model = ir.load(digits)
    gemm = next(node for node in model.graph if node.op_type == "Gemm")
    weight = gemm.inputs[1].producer()  # type: ignore[union-attr]
    assert weight is not None
    weight.attributes["axis"] = ir.AttrInt64("axis", 1 - weight.attributes["axis"].as_int())
    sizes = weight.inputs[0].const_value.shape  # type: ignore[union-attr]
    scales = np.full(int(sizes[weight.attributes["axis"].as_int()]), 0.01, np.float32)  # type: ignore[arg-type]
    for index, array in ((1, scales), (2, np.zeros(scales.shape, np.int8))):
        value = weight.inputs[index]
        assert value is not None
        other = ir.Value(name=f"other{index}", const_value=ir.tensor(array, name=f"other{index}"))
        other.shape, other.dtype = ir.Shape(array.shape), other.const_value.dtype  # type: ignore[union-attr]
        model.graph.register_initializer(other)
        weight.replace_input_with(index, other)
    ir.save(model, tmp_path / "model.onnx")
    result = call("inspect", tmp_path / "model.onnx", "--device", "raspberrypi4", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["precisions"]
    assert found["nodes"]["int8"] >= 2
    assert [entry["reason"] for entry in found["not_int8"]] == ["its weights have a scale for each input channel"]


@pytest.mark.parametrize(
    "options",
    [
        Options(activations=Form.FINE),
        Options(activations=Form.WIDE),
        Options(weights="int4"),
        Options(weights="float16"),
    ],
)
def test_other_forms_in_a_session(tmp_path: Path, options: Options) -> None:
    """They agree with ONNX Runtime, which computes all of them in float32."""
    path, out = save(tmp_path / "m.onnx", mobile(width=32)), tmp_path / "q.onnx"
    quantize(path, out, samples(12), options)
    with edgeort.InferenceSession(out) as session:
        for feeds in samples(3, seed=5):
            (got,) = session.run(None, feeds)
            want = open_session(out, fuse_qdq=False).run(None, feeds)[0]
            assert sqnr_db(got, want) > STEP_DB


def test_sums_of_integers_are_exact(tmp_path: Path) -> None:
    """Winograd's would not be, by which other layers of this size run."""
    weights = onnx.numpy_helper.from_array(RNG.integers(-127, 128, (16, 16, 3, 3)).astype(np.int8), "w")
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
      g (uint8[1,16,28,28] x) => (int32[1,16,26,26] y) <uint8 z = {121}> { y = ConvInteger (x, w, z) }""")
    model.graph.initializer.append(weights)
    onnx.save(model, tmp_path / "m.onnx")
    feeds = {"x": RNG.integers(0, 256, (1, 16, 28, 28)).astype(np.uint8)}
    with edgeort.InferenceSession(tmp_path / "m.onnx") as session:
        np.testing.assert_array_equal(session.run(None, feeds)[0], reference(tmp_path / "m.onnx", feeds)[0])
