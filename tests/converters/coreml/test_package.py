"""The package as a file: bytes, names, types, pictures, metadata; what stops a build with a reason."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import model, sample
from edgeort.converters import coreml
from edgeort.errors import DeviceError, InputError, OutputError, ProfileError, ShapeError, UnsupportedError
from edgeort.recipes.picture import Recipe
from edgeort.recipes.picture_steps import parse
from tests.converters.coreml.evaluator import Program, ct
from tests.converters.coreml.support import FLOAT32, Graph, check, cleaned, evaluate, reference
from tests.reference.build import ROOT

SAMPLE = (
    "from edgeort import model, sample; from edgeort.converters import coreml;"
    "m = model.clean(model.load(sample.path(), shapes=model.parse_shapes(['image=1-4x1x8x8'])));"
    "coreml.emit(m, coreml.Options(min_os='16.0', weights='int8')).save('{path}')"
)


def files(package: Path) -> dict[str, bytes]:
    return {str(path.relative_to(package)): path.read_bytes() for path in package.rglob("*") if path.is_file()}


def test_same_bytes_in_another_process_and_quiet(tmp_path: Path):
    ready = model.clean(model.load(sample.path(), shapes=model.parse_shapes(["image=1-4x1x8x8"])))
    here = files(coreml.emit(ready, coreml.Options(min_os="16.0", weights="int8")).save(tmp_path / "m.mlpackage"))
    path = tmp_path / "other.mlpackage"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SAMPLE.format(path=path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert files(path) == here
    assert set(here) == {
        "Manifest.json", "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"
    }  # fmt: skip


def test_coremltools_reads_it(rng: np.random.Generator, tmp_path: Path):
    options = coreml.Options(os="macos", min_os="13.3", author="A. Nonym", description="one line")
    graph = Graph({"x": rng.standard_normal((1, 3, 4, 4)).astype(np.float32)})
    graph.add("Conv", "x", rng.standard_normal((4, 3, 1, 1)).astype(np.float32))
    package = coreml.emit(cleaned(graph.proto(), tmp_path), options)
    path = package.save(tmp_path / "m.mlpackage")
    manifest = json.loads((path / "Manifest.json").read_text())
    assert manifest["rootModelIdentifier"] in manifest["itemInfoEntries"]
    loaded = ct.models.MLModel(str(path), skip_model_load=True)
    assert (loaded.author, loaded.short_description) == ("A. Nonym", "one line")
    assert loaded.get_spec().specificationVersion == 7  # iOS 16, macOS 13
    assert package.oldest == "macOS 13"
    assert not any("date" in key for key in loaded.user_defined_metadata)


def test_replaces_a_package_and_nothing_else(tmp_path: Path):
    ready = model.clean(model.load(sample.path(), shapes=model.parse_shapes(["image=1x1x8x8"])))
    package = coreml.emit(ready)
    package.save(tmp_path / "m.mlpackage")
    package.save(tmp_path / "m.mlpackage")
    assert [path.name for path in tmp_path.iterdir()] == ["m.mlpackage"]
    (tmp_path / "mine.mlpackage").mkdir()
    with pytest.raises(OutputError, match="no Core ML package"):
        package.save(tmp_path / "mine.mlpackage")
    with pytest.raises(OutputError, match="cannot be written"):
        package.save(tmp_path / "missing" / "m.mlpackage")
    with pytest.raises(InputError, match=r"named \*\.mlpackage"):
        package.save(tmp_path / "m.onnx")


def test_names_and_types_that_core_ml_lacks(tmp_path: Path):
    """Names with other signs, int64, booleans, float64 and single numbers; an input that is an output."""
    nodes = [
        helper.make_node("Where", ["0/flag", "a.b", "state"], ["out:0"]),
        helper.make_node("Add", ["n", "one"], ["bool"]),
        helper.make_node("Not", ["0/flag"], ["flag"]),
        helper.make_node("Identity", ["a.b"], ["a_b"]),
    ]
    inputs = [("0/flag", TensorProto.BOOL, [3]), ("a.b", TensorProto.FLOAT, [3]), ("state", TensorProto.FLOAT, [])]
    outputs = [("out:0", TensorProto.FLOAT, [3]), ("bool", TensorProto.INT64, []), ("flag", TensorProto.BOOL, [3])]
    infos = [[helper.make_tensor_value_info(*one) for one in part] for part in (
        [*inputs, ("n", TensorProto.INT64, [])], [*outputs, ("a_b", TensorProto.FLOAT, [3])]
    )]  # fmt: skip
    graph = helper.make_graph(nodes, "g", *infos, [numpy_helper.from_array(np.array(1), "one")])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    feeds = {
        "0/flag": np.array([True, False, True]),
        "a.b": np.float32([1, 2, 3]),
        "state": np.array(-1, np.float32),
        "n": np.array(4),
    }
    package = coreml.emit(cleaned(proto, tmp_path), FLOAT32)
    assert [(one.name, one.dtype) for one in package.inputs] == [
        ("0/flag", "int32"), ("a.b", "float32"), ("state", "float32"), ("n", "int32")
    ]  # fmt: skip
    names = [one.feature for one in (*package.inputs, *package.outputs)]
    assert len(set(names)) == len(names) and all(name.isidentifier() for name in names)
    found = evaluate(package, feeds, tmp_path)
    for name, want in reference(proto, feeds).items():
        np.testing.assert_array_equal(found[name], want.reshape(want.shape or (1,)))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        parse("imagenet"),
        parse("bgr; scale=1; mean=127; std=128"),
        parse("rgb; mean=0.1,0.2,0.3"),
    ],
    ids=["std by channel", "one std", "mean by channel"],
)
def test_pictures(how: Recipe, last: bool, rng: np.random.Generator, tmp_path: Path):
    colours = ct.proto.FeatureTypes_pb2.ImageFeatureType
    pixels = rng.integers(0, 256, (1, 3, 8, 10)).astype(np.float32)
    mean, std = (np.float32(part).reshape(1, -1, 1, 1) for part in (how.mean, how.std))
    x = (pixels * np.float32(how.multiplier) - mean) / std
    graph = Graph({"x": np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if last else x})
    graph.add("ReduceMean", graph.add("Tanh", "x"), np.array([2]))
    proto = graph.proto()
    package = coreml.emit(cleaned(proto, tmp_path), coreml.Options(precision="float32", image=how))
    assert package.inputs[0].dtype == "image" and package.inputs[0].shape == (1, 3, 8, 10)
    program = Program(package.save(tmp_path / "m.mlpackage"))
    kind = program.specification.description.input[0].type.imageType
    assert (kind.height, kind.width) == (8, 10)
    assert kind.colorSpace == (colours.BGR if how.color == "bgr" else colours.RGB)
    found, want = program.run({"x": pixels}), reference(proto, graph.feeds)
    np.testing.assert_allclose(found[package.outputs[0].feature], next(iter(want.values())), atol=1e-5)


def test_what_is_no_picture(tmp_path: Path):
    graph = Graph({"x": np.zeros((1, 5), np.float32)})
    graph.add("Relu", "x")
    with pytest.raises(InputError, match="is no picture"):
        coreml.emit(cleaned(graph.proto(), tmp_path), coreml.Options(image=parse("imagenet")))


def test_free_dimensions_need_a_range(tmp_path: Path):
    ready = model.clean(model.load(sample.path()))
    for ask in (coreml.emit, coreml.refusals):
        with pytest.raises(ShapeError, match="is free, and Core ML wants the range") as raised:
            ask(ready)
        assert raised.value.hint is not None and "--shape image=1-8x1x8x8" in raised.value.hint


def test_a_free_batch(rng: np.random.Generator, tmp_path: Path):
    ready = model.clean(model.load(sample.path(), shapes=model.parse_shapes(["image=1-4x1x8x8"])))
    package = coreml.emit(ready)
    feeds = {"image": rng.integers(0, 17, (3, 1, 8, 8)).astype(np.float32)}
    found, want = evaluate(package, feeds, tmp_path), reference(onnx.load(sample.path()), feeds)
    np.testing.assert_allclose(found["logits"], want["logits"], atol=2e-2 * np.abs(want["logits"]).max())


def test_empty_tensors(tmp_path: Path):
    graph = Graph({"x": np.zeros((0, 3), np.float32)})
    graph.add("Relu", "x")
    with pytest.raises(UnsupportedError, match="input 'x' is empty"):
        coreml.emit(cleaned(graph.proto(), tmp_path))
    graph = Graph({"x": np.ones((2, 3), np.float32)})
    graph.add("Relu", graph.add("Slice", "x", np.array([1]), np.array([1]), np.array([0])))
    ((node, reason),) = coreml.refusals(cleaned(graph.proto(), tmp_path))
    assert node.op_type == "Slice" and "is empty" in reason


def test_the_first_node_refused_is_named(tmp_path: Path):
    graph = Graph({"x": np.ones((2, 3), np.float32)})
    graph.add("Relu", graph.add("Bernoulli", "x", seed=1.0))
    graph.add("Cast", "x", to=2)
    with pytest.raises(UnsupportedError, match=r"node '\S+' \(\w+\): "):
        coreml.emit(cleaned(graph.proto(), tmp_path))


@pytest.mark.parametrize(
    ("os_name", "min_os", "release"),
    [("ios", "15.0", 15), ("ios", "16.4", 16), ("ios", "26.1", 26), ("macos", "12.0", 15), ("macos", "15.2", 18)],
)
def test_releases(os_name: str, min_os: str, release: int):
    assert coreml.Options(os=os_name, min_os=min_os).release == release


@pytest.mark.parametrize(("os_name", "min_os"), [("ios", "14.0"), ("macos", "11.0"), ("linux", "5.0")])
def test_systems_without_ml_programs(os_name: str, min_os: str):
    with pytest.raises(ProfileError):
        _ = coreml.Options(os=os_name, min_os=min_os).release


def test_the_log_of_coremltools_is_as_it_was(rng: np.random.Generator, tmp_path: Path):
    level = logging.getLogger("coremltools").level
    graph = Graph({"x": rng.standard_normal((1, 4)).astype(np.float32)})
    graph.add("Relu", "x")
    check(graph, tmp_path)
    assert logging.getLogger("coremltools").level == level


@pytest.mark.skipif(platform.system() == "Darwin", reason="Core ML is here")
def test_no_prediction_off_macos(tmp_path: Path):
    with pytest.raises(DeviceError, match="Core ML runs on macOS and iOS") as raised:
        coreml.predict(tmp_path / "m.mlpackage", {})
    assert raised.value.hint


@pytest.mark.skipif(platform.system() != "Darwin", reason="needs macOS: Core ML runs nowhere else")
def test_prediction(tmp_path: Path, rng: np.random.Generator):
    ready = model.clean(model.load(sample.path(), shapes=model.parse_shapes(["image=1x1x8x8"])))
    path = coreml.emit(ready).save(tmp_path / "m.mlpackage")
    feeds = {"image": rng.integers(0, 17, (1, 1, 8, 8)).astype(np.float32)}
    want = reference(onnx.load(sample.path()), feeds)["logits"]
    for units in ("CPU_ONLY", "ALL"):
        found = coreml.predict(path, feeds, units)["logits"]
        np.testing.assert_allclose(found, want, atol=2e-2 * np.abs(want).max())
