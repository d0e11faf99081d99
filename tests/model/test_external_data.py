"""Weights in other files: only those beside the model are read, as far as it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, numpy_helper

from edgeort.model import load
from tests.model.support import conv, refusal, write


def external(folder: Path, location: str = "weights.bin", **entries: object) -> onnx.ModelProto:
    """The convolution with its weight declared in another file, which is written when it lies in `folder`."""
    proto = conv()
    weight = proto.graph.initializer[-1]
    if "/" not in location and "\\" not in location and "\0" not in location and location:
        (folder / location).write_bytes(bytes(16) + weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 16, "length": 432, **entries}.items():
        weight.external_data.add(key=key, value=str(value))
    return proto


def test_external_data_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, external(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = load("model.onnx")  # a bare name: the folder is then empty, which must not switch the checks off
    monkeypatch.chdir("/")
    weight = model.graph.initializers["w"].const_value
    assert isinstance(weight, ir.ExternalTensor) and Path(weight.base_dir) == tmp_path
    np.testing.assert_array_equal(weight.numpy(), numpy_helper.to_array(conv().graph.initializer[-1]))


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "a/../../b", "C:\\weights.bin", "..\\w", "\\\\host\\w", "", "a\0b"]
)
def test_external_data_outside_the_folder(tmp_path: Path, location: str) -> None:
    error = refusal(tmp_path, external(tmp_path, location))
    assert "must lie in the model's own folder" in str(error) and error.hint


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    proto = external(inside)
    shutil.move(inside / "weights.bin", outside / "weights.bin")
    (inside / "weights.bin").symlink_to(outside / "weights.bin")
    assert "a link that leads out" in str(refusal(inside, proto))
    (inside / "weights.bin").unlink()
    (inside / "sub").symlink_to(outside)
    assert "a link that leads out" in str(refusal(inside, external(inside, "sub/weights.bin")))
    (inside / "weights.bin").hardlink_to(outside / "weights.bin")
    assert "2 hard links" in str(refusal(inside, proto))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": 17}, "needs bytes 17 to 449 of 'weights.bin', which has only 448"),
        ({"offset": 2**63}, "which has only 448"),
        ({"offset": -1}, "not a whole number"),
        ({"length": "many"}, "not a whole number"),
        ({"length": "9" * 5000}, "not a whole number"),
        ({"length": 431}, "which is 432 bytes, but has 431"),
    ],
)
def test_external_offsets_and_lengths(tmp_path: Path, entries: dict[str, object], message: str) -> None:
    assert message in str(refusal(tmp_path, external(tmp_path, **entries)))


def test_external_file_missing_or_a_folder(tmp_path: Path) -> None:
    proto = external(tmp_path)
    (tmp_path / "weights.bin").unlink()
    assert "which is missing" in str(refusal(tmp_path, proto))
    (tmp_path / "weights.bin").mkdir()
    assert "not a regular file" in str(refusal(tmp_path, proto))
