"""SavedModels, Keras files and .tflite files become ONNX models that give the same answers, or nothing is written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgeort
from edgeort import converters
from edgeort.converters import tensorflow
from edgeort.errors import InputError, ModelError

PACKAGES = ("tensorflow", "tf2onnx", "ai_edge_litert")
MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]  # importing them takes seconds
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def tf() -> Any:
    return tensorflow.packages()[0]


def network(tf: Any) -> Any:
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    return tf.keras.Sequential(
        [
            tf.keras.Input(SHAPE, name="image"),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def place(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network as `saved`, m.keras, m.h5, m.tflite, and int8.tflite."""
    folder = tmp_path_factory.mktemp("tensorflow")
    model = network(tf)
    with tensorflow.quiet():
        model.save(folder / "m.keras")
        model.save(folder / "m.h5")
        tf.saved_model.save(model, str(folder / "saved"))
        (folder / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        quantiser = tf.lite.TFLiteConverter.from_keras_model(model)
        quantiser.optimizations = [tf.lite.Optimize.DEFAULT]
        rng = np.random.default_rng(0)
        samples = [rng.uniform(-1, 1, (1, *SHAPE)).astype(np.float32) for _ in range(8)]
        quantiser.representative_dataset = lambda: ([sample] for sample in samples)
        (folder / "int8.tflite").write_bytes(quantiser.convert())
    return folder


@pytest.mark.parametrize("name", ["saved", "m.keras", "m.h5", "m.tflite"])
def test_float_models(tf: Any, place: Path, tmp_path: Path, name: str):
    found = converters.convert(place / name, tmp_path / "m.onnx")
    assert [list(sizes.values()) for sizes in found.checked] == [[[2, *SHAPE]], [[3, *SHAPE]]]
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert ":" not in graph.input[0].name + graph.output[0].name
    image = np.random.default_rng(1).uniform(-1, 1, (1, *SHAPE)).astype(np.float32)
    (ours,) = edgeort.InferenceSession(tmp_path / "m.onnx").run(None, {graph.input[0].name: image})
    with tensorflow.quiet():
        want = tf.keras.models.load_model(place / "m.keras")(image).numpy()
    np.testing.assert_allclose(ours, want, rtol=1e-4, atol=1e-6)


def test_int8_model_runs_in_int8(place: Path, tmp_path: Path):
    found = converters.convert(place / "int8.tflite", tmp_path / "m.onnx")
    assert found.comparisons[0].sqnr_db is not None
    operators = {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    built = edgeort.build(tmp_path / "m.onnx", "x86-64", tmp_path / "b", shapes={found_input(tmp_path): (1, *SHAPE)})
    assert built.precisions["int8"] >= 3


def found_input(folder: Path) -> str:
    return onnx.load(folder / "m.onnx").graph.input[0].name


@pytest.mark.parametrize("name", ["saved", "m.keras"])
def test_a_shape_fixes_dimensions(place: Path, tmp_path: Path, name: str):
    converters.convert(place / name, tmp_path / "free.onnx")
    key = onnx.load(tmp_path / "free.onnx").graph.input[0].name
    found = converters.convert(place / name, tmp_path / "m.onnx", shapes={key: (1, *SHAPE)})
    assert found.checked == ({key: [1, *SHAPE]},)
    with pytest.raises(InputError, match="not \\[1, 8, 8, 3\\]"):
        converters.convert(place / name, tmp_path / "bad.onnx", shapes={key: (1, 8, 8, 3)})
    with pytest.raises(InputError, match="no input 'nope'"):
        converters.convert(place / name, tmp_path / "bad.onnx", shapes={"nope": (1,)})
    assert not (tmp_path / "bad.onnx").exists()


def test_several_signatures(tf: Any, tmp_path: Path):
    module = tf.Module()
    spec = tf.TensorSpec((None, 2), tf.float32)
    one = tf.function(lambda x: {"y": x + 1.0}, input_signature=[spec]).get_concrete_function()
    two = tf.function(lambda x: {"y": x * 2.0}, input_signature=[spec]).get_concrete_function()
    with tensorflow.quiet():
        tf.saved_model.save(module, str(tmp_path / "s"), signatures={"one": one, "two": two})
    with pytest.raises(ModelError, match="no signature 'serving_default', but 'one', 'two'"):
        converters.convert(tmp_path / "s", tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.tflite"])
def test_broken_and_missing_files(tmp_path: Path, name: str):
    with pytest.raises(InputError, match="no such file"):
        converters.convert(tmp_path / name, tmp_path / "m.onnx")
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(ModelError, match="cannot load it"):
        converters.convert(tmp_path / name, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
