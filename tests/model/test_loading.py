"""Files that are no models, damaged ones, and versions of the format."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgeort.errors import EdgeortError, ModelError
from edgeort.inspection import inspect
from edgeort.lowering.layout import MAGIC
from edgeort.model import clean, free_dimensions, load
from tests.model.support import conv, everything, make, operators, refusal, run, write


def test_a_model_is_loaded_with_weights_where_they_are(tmp_path: Path) -> None:
    model = load(write(tmp_path, conv()))
    weight = model.graph.initializers["w"].const_value
    assert weight is not None and weight.numpy().shape == (4, 3, 3, 3)
    assert operators(model) == ["Conv", "Relu"]
    assert free_dimensions(model) == {"x": ("n", 3, 8, 8)}


def test_missing_file_folder_and_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "nothing.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        load("a\0b.onnx")
    assert "empty" in str(refusal(tmp_path, b""))
    with pytest.raises(ModelError, match="a folder") as caught:
        load(tmp_path)
    assert str(tmp_path / "model.onnx") in str(caught.value.hint)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        load(tmp_path / "pipe.onnx")


def test_a_file_over_two_gib_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # sparse: takes no space
    with pytest.raises(ModelError, match="2 GiB"):
        load(path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html>", "web page"),
        (b"hello, world", "not an ONNX file"),
        (bytes(64), "not an ONNX file"),
        (b"\xff" * 64, "not an ONNX file"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, data: bytes, what: str) -> None:
    error = refusal(tmp_path, data)
    assert what in str(error) and error.hint


@pytest.mark.parametrize(
    ("name", "data", "hint"),
    [
        ("my net.tflite", b"\x1c\0\0\0TFL3" + bytes(100), "edgeort convert '{}' -o model.onnx"),
        ("net.h5", b"\x89HDF" + bytes(100), "edgeort convert {} -o model.onnx"),
        ("net.keras", b"PK\x03\x04" + bytes(100), "edgeort convert {} -o model.onnx"),
        ("net.pth", b"PK\x03\x04" + bytes(100), "edgeort convert net.py:NAME -o model.onnx"),
        ("net.onnx.gz", b"\x1f\x8b" + bytes(100), "gunzip -k {}"),
        ("model.plan", MAGIC + bytes(100), "edgeort why BUNDLE"),
    ],
)
def test_what_can_be_converted_is_told_how(tmp_path: Path, name: str, data: bytes, hint: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert hint.format(path) in str(caught.value.hint)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_says_how_much_is_missing(tmp_path: Path, kept: float) -> None:
    data = conv(400).SerializeToString()
    cut = data[: int(len(data) * kept)]
    assert f"truncated: it has {len(cut)} bytes" in str(refusal(tmp_path, cut))


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    data = everything().SerializeToString()
    for length in range(0, len(data) - 1, 7):
        refusal(tmp_path, data[:length])


def walk(path: Path) -> None:
    model = load(path)
    free_dimensions(model)
    inspect(model)
    clean(model)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), flips=st.integers(1, 4))
def test_damaged_bytes_never_escape_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: int
) -> None:
    data = bytearray(everything().SerializeToString())
    source = random.Random(seed)
    for _ in range(flips):
        data[source.randrange(len(data))] = source.randrange(256)
    path = write(tmp_path_factory.mktemp("damaged"), bytes(data))
    try:
        walk(path)
    except EdgeortError as error:
        assert str(error)


# --- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 99])
def test_ir_versions_out_of_range(tmp_path: Path, version: int) -> None:
    proto = conv()
    proto.ir_version = version
    assert f"IR version {version} is not supported; 3 to {onnx.IR_VERSION}" in str(refusal(tmp_path, proto))


def test_opsets_out_of_range(tmp_path: Path) -> None:
    proto = conv()
    proto.opset_import[0].version = 999
    error = refusal(tmp_path, proto)
    assert "opset 999" in str(error) and "pip install -U onnx" in str(error.hint)
    assert f"7 to {onnx.defs.onnx_opset_version()} of ai.onnx" in str(error)


def test_missing_and_contradictory_opset_imports(tmp_path: Path) -> None:
    proto = conv()
    del proto.opset_import[:]
    assert "does not say which opset" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.opset_import.append(helper.make_opsetid("ai.onnx", 18))
    assert "in two versions" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.graph.node[1].domain = "com.example"
    assert "imports no opset; it imports ai.onnx" in str(refusal(tmp_path, proto))


def test_the_default_domain_has_one_name(tmp_path: Path) -> None:
    proto = conv()
    proto.opset_import[0].domain = proto.graph.node[0].domain = "ai.onnx"
    model = load(write(tmp_path, proto))
    assert model.opset_imports == {"": 17} and {node.domain for node in model.graph} == {""}


def test_initializers_of_old_files_are_no_inputs(tmp_path: Path) -> None:
    proto = conv()
    proto.ir_version = 3
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3]))
    model = load(write(tmp_path, proto))
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert "w" in model.graph.initializers
    x = np.ones((1, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(run(model, x=x)[0], run(conv(), x=x)[0])


@pytest.mark.parametrize("how", ["function", "unknown"])
@pytest.mark.parametrize(
    "call",
    [
        'RegexFullMatch<pattern="a">',
        'ai.onnx.ml.DictVectorizer<string_vocabulary=["a"]>',
        'ai.onnx.ml.LabelEncoder<classes_strings=["a"]>',
    ],
)
def test_operators_at_which_inference_dies_of_an_unknown_type(tmp_path: Path, call: str, how: str) -> None:
    text = '<ir_version: 8, opset_import: ["" : 20, "ai.onnx.ml" : 1, "f" : 1]>\n'
    if how == "function":
        text += 'g () => (bool[n] y) { y = f.Match("") }\n<domain: "f", opset_import: ["" : 20, "ai.onnx.ml" : 1]>\n'
        text += f"Match (a) => (o) {{ o = {call}(a) }}"
    else:
        text += f"g () => (bool[n] y) {{ x = f.Unknown()  y = {call}(x) }}"
    assert operators(load(write(tmp_path, make(text))))
