"""Dimensions that are free within a range: memory is taken for the largest at open, and none later."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgeort
from edgeort.bundle import open_bundle
from edgeort.errors import BudgetError, InputError, ShapeError
from edgeort.model import bounds, load
from tests.cli.support import call
from tests.models import HOST, ON_HOST, mlp, model

LEAST, MOST = (1, 3, 16, 16), (1, 3, 64, 96)
SHAPE = {"x": (1, 3, "16-64", "16-96")}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [n, 3, h, w] -> Conv, Relu, Conv, GlobalAveragePool -> y [n, 4, 1, 1]."""
    rng = np.random.default_rng(0)
    weights = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (4, 8, 3, 3)}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["d"], ["y"]),
    ]
    constants = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in weights.items()]
    path = tmp_path_factory.mktemp("bounds") / "m.onnx"
    onnx.save(model(nodes, [("x", ["n", 3, "h", "w"])], [("y", ["n", 4, 1, 1])], constants), path)
    return path


@pytest.fixture(scope="module")
def bundle(network: Path) -> Path:
    out = network.with_name("b")
    edgeort.build(network, HOST, out, shapes=SHAPE)
    return out


def test_any_size_within_is_right(network: Path, bundle: Path):
    ours, free = edgeort.InferenceSession(bundle, threads=2), edgeort.InferenceSession(network)
    rng = np.random.default_rng(1)
    for shape in (LEAST, MOST, (1, 3, 17, 95), (1, 3, 64, 16), (1, 3, 33, 40)):
        x = rng.standard_normal(shape).astype(np.float32)
        assert ours.run(None, {"x": x})[0].tobytes() == free.run(None, {"x": x})[0].tobytes()


@pytest.mark.parametrize("shape", [(1, 3, 15, 20), (1, 3, 65, 20), (1, 3, 20, 97)])
def test_sizes_beyond_are_refused(bundle: Path, shape: tuple[int, ...]):
    session = edgeort.InferenceSession(bundle)
    with pytest.raises(InputError, match=r"must be 16 to (64|96), not"):
        session.run(None, {"x": np.ones(shape, np.float32)})
    session.run(None, {"x": np.ones(LEAST, np.float32)})  # and it can be used again


def test_no_memory_is_taken_after_open(bundle: Path):
    engine = edgeort.InferenceSession(bundle, threads=1)._engine
    arena = engine.stats.arena_bytes
    images = [np.ones((1, 3, h, w), np.float32) for h in range(16, 65, 6) for w in range(16, 97, 10)]
    for image in 2 * images:  # pages that were taken are the process's at their first use, some by another size
        engine.run([image])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for image in images:
        engine.run([image])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < len(images) / 2
    assert engine.stats.arena_bytes == arena


def test_golden_inputs_are_the_largest(bundle: Path):
    assert np.load(bundle / "golden/input0.npy").shape == MOST
    said = subprocess.run([bundle / "bin/edgeort_bench", bundle / "model.plan", "--runs", "1"], capture_output=True)
    assert said.returncode == 0
    (value,) = open_bundle(bundle).manifest.inputs
    assert value.text() == "x: float32 [1, 3, 16-64, 16-96]"


def test_the_limit_is_that_of_the_largest(network: Path, tmp_path: Path):
    with pytest.raises(BudgetError, match="the limit is"):
        edgeort.build(network, HOST, tmp_path / "b", shapes=SHAPE, ram_limit=20_000)
    assert not (tmp_path / "b").exists()


def test_inputs_share_a_symbol(tmp_path: Path):
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    onnx.save(model(nodes, [("a", ["n", 4]), ("b", ["n", 4])], [("y", ["n", 4])]), tmp_path / "m.onnx")
    assert bounds(load(tmp_path / "m.onnx", shapes={"a": ("2-5", 4)})) == {"n": (2, 5)}
    edgeort.build(tmp_path / "m.onnx", HOST, tmp_path / "b", shapes={"a": ("2-5", 4)})
    session = edgeort.InferenceSession(tmp_path / "b")
    one = np.ones((5, 4), np.float32)
    assert session.run(None, {"a": one, "b": one})[0].shape == (5, 4)
    with pytest.raises(ShapeError, match="'n' is 2-5"):
        load(tmp_path / "m.onnx", shapes={"a": ("2-5", 4), "b": ("1-5", 4)})


def test_ranges_of_what_the_model_fixes(tmp_path: Path):
    onnx.save(mlp(batch=3), tmp_path / "m.onnx")
    assert bounds(load(tmp_path / "m.onnx", shapes={"x": ("1-4", 8)})) == {}
    with pytest.raises(ShapeError, match="the model fixes 3"):
        load(tmp_path / "m.onnx", shapes={"x": ("4-8", 8)})


@pytest.mark.parametrize("text", ["x=5-2x8", "x=0-4x8", "x=1-99999999999x8", "x=1-2-3x8"])
def test_bad_ranges(tmp_path: Path, text: str):
    onnx.save(mlp(), tmp_path / "m.onnx")
    result = call("build", tmp_path / "m.onnx", *ON_HOST, "-o", tmp_path / "b", "--shape", text)
    assert result.exit_code == 2
    assert "is not a shape" in result.stderr


@pytest.mark.parametrize("text", ["{", "[1]", '{"n": 3}', '{"n": [5, 2]}', '{"n": ["a", "b"]}'])
def test_metadata_of_others_is_no_bound(tmp_path: Path, text: str):
    proto = mlp()
    helper.set_model_props(proto, {"edgeort.bounds": text})
    onnx.save(proto, tmp_path / "m.onnx")
    assert bounds(load(tmp_path / "m.onnx")) == {}
